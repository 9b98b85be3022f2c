//! What a process of a run is.

use serde::{Deserialize, Serialize};

/// What a process of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It runs jobs; its place among the workers.
    Worker(usize),
    /// It fires schedules; its place among the schedulers.
    Scheduler(usize),
    /// It takes webhooks; its place among the web processes, and its port.
    Web(usize, u16),
}

impl Role {
    /// Its name in the ledger and of its log.
    pub fn name(self) -> String {
        match self {
            Self::Worker(place) => format!("worker-{place}"),
            Self::Scheduler(place) => format!("scheduler-{place}"),
            Self::Web(place, _) => format!("web-{place}"),
        }
    }
}
