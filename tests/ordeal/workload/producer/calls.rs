//! Makes programs that call an outside system: one by one, and at times several that find it down at once.

use std::{sync::Arc, time::Duration};

use rand::RngExt;
use tokio_util::sync::CancellationToken;

use super::{Producer, draw};
use crate::{
    chance::{Purpose, stream},
    program::Program,
    stage::Stage,
};

/// How many find it down at once: enough for its breaker to open.
const TURNED_AWAY: usize = 5;
/// One turn in so many is theirs, the first one among them.
const TURNED_AWAY_OF: u32 = 5;

impl Producer {
    /// The producer of such programs.
    pub fn of_calls(stage: Arc<Stage>) -> Self {
        let random = stream(stage.seed, Purpose::Calls, 0);
        Self { stage, letter: 'c', number: 0, random, made: 0 }
    }

    /// Enqueues them until it is told to stop.
    ///
    /// # Errors
    /// When the ledger cannot be written, or the database refuses what it must take.
    pub async fn run_calls(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        for turn in 0_u32.. {
            let pause = Duration::from_millis(self.random.random_range(400..1200));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
            if turn.is_multiple_of(TURNED_AWAY_OF) {
                self.outage().await?;
            } else {
                let key = self.key();
                let calling = draw::calling(&mut self.random, key);
                self.enqueue(calling).await?;
            }
        }
        Ok(())
    }

    async fn outage(&mut self) -> anyhow::Result<()> {
        let mut programs: Vec<Program> = Vec::new();
        for _ in 0..TURNED_AWAY {
            let key = self.key();
            programs.push(draw::turned_away(&mut self.random, key));
        }
        self.together(&programs).await
    }
}
