//! Kinds of job that play no program.

use std::time::Duration;

use engine::{Job, JobResult, Outcome, Run};
use serde::{Deserialize, Serialize};

use super::QUEUE;
use crate::witness::{self, What};

/// What ticks call themselves before witnesses. One runs at a time in the whole fleet.
pub const TICK: &str = "tick";

/// The queue that only one worker serves.
pub fn probe_queue(slot: usize) -> String {
    format!("probe-{slot}")
}

/// What comes each second.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tick {}

/// Shows that a worker works.
#[derive(Debug, Serialize, Deserialize)]
pub struct Probe {
    /// Its worker's queue.
    pub queue: String,
}

impl Job for Tick {
    const KIND: &'static str = "ordeal.tick";
    const QUEUE: &'static str = QUEUE;

    async fn run(&self, run: &mut Run) -> JobResult {
        witness::say(run, TICK, What::Started(0));
        tokio::time::sleep(Duration::from_millis(100)).await;
        witness::say(run, TICK, What::Ended);
        Ok(Outcome::done())
    }
}

impl Job for Probe {
    const KIND: &'static str = "ordeal.probe";

    async fn run(&self, _: &mut Run) -> JobResult {
        Ok(Outcome::done())
    }
}
