//! Programs that call an outside system, whose breaker holds them while they fail.

use std::time::Duration;

use engine::{Job, JobResult, Run};
use serde::{Deserialize, Serialize};

use super::{Play, QUEUE};

/// The outside system that such programs call. There is none: what it answers is what the program says.
pub const CALLED: &str = "ordeal_outside";

/// Plays a program that calls an outside system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlayCalling(pub Play);

impl Job for PlayCalling {
    const KIND: &'static str = "ordeal.play_calling";
    const QUEUE: &'static str = QUEUE;
    const CALLS: Option<&'static str> = Some(CALLED);
    const TIMEOUT: Duration = Duration::from_hours(1);

    async fn run(&self, run: &mut Run) -> JobResult {
        self.0.attempt(run).await
    }
}
