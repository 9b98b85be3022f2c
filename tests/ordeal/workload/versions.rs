//! Jobs whose shape is another in the next version of the program: a producer of each version makes them while the fleet
//! is of both.

use std::{sync::Arc, time::Duration};

use engine::{Client, Job, NewJob};
use rand::RngExt;
use tokio_util::sync::CancellationToken;

use crate::{
    chance::{Purpose, stream},
    kinds::versions::{Novel, Shape, WiderShape},
    ledger::Shaped,
    stage::Stage,
    wait::until_accepted,
};

/// How often one is made.
const PERIOD: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes them until it is told to stop, and asks again until each is acknowledged.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn run(stage: Arc<Stage>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut random = stream(stage.seed, Purpose::Versions, 0);
    let client = Client::new(stage.producers.clone());
    let mut number = 0;
    while stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        number += 1;
        let (kind, job) = match random.random_range(0..3) {
            0 => (Novel::KIND, NewJob::of(&Novel { number })?),
            1 => (Shape::KIND, NewJob::of(&Shape { number })?),
            _ => (WiderShape::KIND, NewJob::of(&WiderShape { number, twice: 2 * number })?),
        };
        let job = job.idempotency_key("versions", number.to_string());
        let (made, _) = until_accepted(PATIENCE, || client.enqueue(&job)).await;
        stage.ledger.shaped.add_synced(&Shaped { number, job: made.id.0, kind: kind.into() })?;
    }
    Ok(())
}
