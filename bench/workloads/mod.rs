//! What is measured, one file a workload.

mod allocation;
mod drain;
mod enqueue;
mod handlers;
mod limits;
mod pickup;
mod pinned;
mod raw;
mod retries;
mod scheduled;
mod steady;
mod steps;
mod webhooks;

use clap::ValueEnum;

pub use enqueue::fill;
use pickup::percentile;
pub use raw::BATCH;

use crate::{figures::Figures, stage::Stage};

/// The names of the figures that something is aimed at.
pub mod goals {
    pub use super::allocation::NAME as ALLOCATION;
    pub use super::drain::{CPU as DRAIN_CPU, FOUR as DRAIN_FOUR, MEMORY, ONE as DRAIN};
    pub use super::enqueue::COPY;
    pub use super::limits::{KEYED, OF_KIND, PLAIN};
    pub use super::pickup::{P50 as PICKUP_P50, P99 as PICKUP_P99, POLLED_P99};
    pub use super::pinned::{FREE, PINNED, PINNED_LEAST};
    pub use super::scheduled::{MANY as MANY_SCHEDULED, NONE as NONE_SCHEDULED};
    pub use super::steps::NAME as STEPS;
    pub use super::webhooks::{P99 as WEBHOOKS_P99, RATE as WEBHOOKS};
}

/// A workload.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// 100,000 jobs at once.
    Bulk,
    /// One job a transaction, from 1, 8 and 32 clients.
    Single,
    /// No-op jobs, with one worker process and with four.
    Drain,
    /// How long a job waits in an idle system.
    Pickup,
    /// How long jobs wait under a steady load.
    Steady,
    /// Handlers of a millisecond, 200 at once.
    Handlers,
    /// Every third attempt fails.
    Retries,
    /// What limits cost.
    Limits,
    /// Workflows of ten steps.
    Steps,
    /// Signed webhooks, each answered after the commit that holds it.
    Webhooks,
    /// Stock for a thousand orders of three lines.
    Allocation,
    /// Jobs in and out at once while millions are scheduled for later.
    Scheduled,
    /// Jobs in and out at once while a transaction is held open.
    Pinned,
}

impl Workload {
    /// All of them, in the order of their turns.
    pub const ALL: [Self; 13] = [
        Self::Bulk,
        Self::Single,
        Self::Drain,
        Self::Pickup,
        Self::Steady,
        Self::Handlers,
        Self::Retries,
        Self::Limits,
        Self::Steps,
        Self::Webhooks,
        Self::Allocation,
        Self::Scheduled,
        Self::Pinned,
    ];

    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default()
    }

    /// What it is, in a sentence.
    pub fn meaning(self) -> String {
        self.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }

    /// Whether it compares with itself over a long time, and is not repeated.
    pub fn is_long(self) -> bool {
        matches!(self, Self::Scheduled | Self::Pinned)
    }

    /// One round.
    pub async fn measure(self, stage: &Stage, figures: &mut Figures) -> anyhow::Result<()> {
        match self {
            Self::Bulk => enqueue::bulk(stage, figures).await,
            Self::Single => enqueue::single(stage, figures).await,
            Self::Drain => drain::measure(stage, figures).await,
            Self::Pickup => pickup::measure(stage, figures).await,
            Self::Steady => steady::measure(stage, figures).await,
            Self::Handlers => handlers::measure(stage, figures).await,
            Self::Retries => retries::measure(stage, figures).await,
            Self::Limits => limits::measure(stage, figures).await,
            Self::Steps => steps::measure(stage, figures).await,
            Self::Webhooks => webhooks::measure(stage, figures).await,
            Self::Allocation => allocation::measure(stage, figures).await,
            Self::Scheduled => scheduled::measure(stage, figures).await,
            Self::Pinned => pinned::measure(stage, figures).await,
        }
    }
}
