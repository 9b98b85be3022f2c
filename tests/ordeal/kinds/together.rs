//! Programs that a worker gathers, so that one call plays many of them; each ends in its own way.

use std::time::Duration;

use engine::{Job, JobResult, Run, Together};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::{Play, QUEUE};

/// Plays a program beside others in one call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlayTogether(pub Play);

impl Job for PlayTogether {
    const KIND: &'static str = "ordeal.play_together";
    const QUEUE: &'static str = QUEUE;
    const TIMEOUT: Duration = Duration::from_hours(1);

    async fn run(&self, run: &mut Run) -> JobResult {
        self.0.attempt(run).await
    }
}

impl Together for PlayTogether {
    const AT_MOST: usize = 5;
    const LINGER: Duration = Duration::from_millis(50);

    async fn run_together(jobs: &mut [(Self, Run)]) -> Vec<JobResult> {
        join_all(jobs.iter_mut().map(|(play, run)| play.0.attempt(run))).await
    }
}
