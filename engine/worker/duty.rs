//! What is done in the house: each duty with its period and the time it may take.

use std::time::Duration;

use sqlx::PgConnection;

use crate::{metrics, store};

const PARTITION_WIDTH: i64 = 10_000_000;
const PARTITIONS_AHEAD: i64 = 50_000_000;
/// How many rows one act forgets at most: some 50 ms of locks.
const BATCH: i64 = 2000;
/// A claim younger than this is its worker's to close.
const CLAIM_AGE_MS: i64 = 10_000;
/// For how many days an event that came first waits for its workflow.
const EVENTS_KEPT_DAYS: i32 = 90;

/// One duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// Count what stands where.
    Measure,
    /// Count the attempts of each minute.
    RollUpAttempts,
    /// Make the partitions ahead.
    MakePartitions,
    /// Drop partitions that the policy lets go.
    DropPartitions,
    /// Drop claims whose attempts are all recorded.
    CloseClaims,
    /// Count what runs under limits that are newer.
    FollowLimits,
    /// Give back slots that were kept for an order which is no more.
    GiveBackKept,
    /// Forget ended jobs that no partition takes along.
    ForgetEnded,
    /// Forget dead letters that are past their time.
    ForgetLetters,
    /// Forget what jobs said that are gone.
    ForgetNotes,
    /// Forget workers that are long dead.
    ForgetWorkers,
    /// Forget idempotency keys that no producer will use again, and unique keys whose time is over.
    ForgetKeys,
    /// Forget what workflows did that are gone.
    ForgetSteps,
    /// Forget old events, and waits that nobody waits for.
    ForgetEvents,
    /// Forget the rates of keys that owe nothing any more, and what breakers counted long ago.
    ForgetRates,
}

impl Duty {
    /// In the order in which they are done when all are due.
    pub(super) const ALL: [Self; 15] = [
        Self::Measure,
        Self::MakePartitions,
        Self::CloseClaims,
        Self::FollowLimits,
        Self::GiveBackKept,
        Self::RollUpAttempts,
        Self::ForgetWorkers,
        Self::ForgetNotes,
        Self::ForgetKeys,
        Self::ForgetSteps,
        Self::ForgetEvents,
        Self::ForgetRates,
        Self::ForgetLetters,
        Self::ForgetEnded,
        Self::DropPartitions,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Measure => "measure",
            Self::RollUpAttempts => "roll_up_attempts",
            Self::MakePartitions => "make_partitions",
            Self::DropPartitions => "drop_partitions",
            Self::CloseClaims => "close_claims",
            Self::FollowLimits => "follow_limits",
            Self::GiveBackKept => "give_back_kept",
            Self::ForgetEnded => "forget_ended",
            Self::ForgetLetters => "forget_letters",
            Self::ForgetNotes => "forget_notes",
            Self::ForgetWorkers => "forget_workers",
            Self::ForgetKeys => "forget_keys",
            Self::ForgetSteps => "forget_steps",
            Self::ForgetEvents => "forget_events",
            Self::ForgetRates => "forget_rates",
        }
    }

    pub(super) const fn period(self) -> Duration {
        match self {
            Self::Measure => Duration::from_secs(1),
            Self::RollUpAttempts | Self::FollowLimits => Duration::from_secs(5),
            Self::MakePartitions | Self::CloseClaims | Self::ForgetNotes => Duration::from_secs(30),
            Self::ForgetWorkers
            | Self::ForgetKeys
            | Self::ForgetSteps
            | Self::ForgetEvents
            | Self::ForgetRates
            | Self::DropPartitions
            | Self::ForgetEnded => Duration::from_mins(1),
            // Whoever sets a limit does so himself; this is for those who write into its table.
            Self::ForgetLetters | Self::GiveBackKept => Duration::from_mins(10),
        }
    }

    /// How long one act may take.
    pub(super) const fn limit(self) -> Duration {
        match self {
            // A hundred million jobs are counted in some 15 s.
            Self::Measure | Self::RollUpAttempts => Duration::from_mins(1),
            // Before it locks anything it looks through a partition.
            Self::DropPartitions => Duration::from_mins(2),
            _ => Duration::from_secs(10),
        }
    }

    /// Whether an act that dealt with so much has left something.
    pub(super) const fn has_more(self, did: i64) -> bool {
        match self {
            Self::ForgetNotes
            | Self::ForgetKeys
            | Self::ForgetSteps
            | Self::ForgetEvents
            | Self::ForgetRates
            | Self::ForgetEnded
            | Self::ForgetLetters
            | Self::GiveBackKept => did >= BATCH,
            Self::DropPartitions => did > 0,
            _ => false,
        }
    }

    /// Does it once; returns how much it dealt with.
    pub(super) async fn act(self, tx: &mut PgConnection) -> Result<i64, sqlx::Error> {
        match self {
            Self::Measure => metrics::measure(tx, Duration::ZERO).await.map(i64::from),
            Self::RollUpAttempts => metrics::roll_up(tx).await,
            Self::MakePartitions => store::partition::extend(tx, PARTITION_WIDTH, PARTITIONS_AHEAD).await.map(i64::from),
            Self::DropPartitions => store::partition::drop_expired(tx).await.map(|bound| i64::from(bound.is_some())),
            Self::ForgetEnded => store::retention::forget_ended(tx, BATCH as i32).await,
            Self::ForgetLetters => store::retention::forget_letters(tx, BATCH as i32).await,
            Self::CloseClaims => store::claim::close_finished(tx, CLAIM_AGE_MS).await.map(|gone| gone as i64),
            Self::FollowLimits => store::limit::count_permits(tx, None).await.map(i64::from),
            Self::GiveBackKept => store::waiting::give_back_kept(tx, BATCH as i32).await.map(i64::from),
            Self::ForgetNotes => store::note::prune(tx, BATCH).await,
            Self::ForgetWorkers => store::worker::prune(tx).await.map(|gone| gone as i64),
            Self::ForgetSteps => Ok(store::step::prune(tx, BATCH).await? as i64 + store::child::prune(tx, BATCH).await?),
            Self::ForgetEvents => store::event::prune(tx, EVENTS_KEPT_DAYS, BATCH).await.map(|gone| gone as i64),
            Self::ForgetRates => Ok(store::limit::prune(tx, BATCH).await?.max(store::breaker::prune(tx, BATCH).await?) as i64),
            Self::ForgetKeys => {
                let gone = store::enqueue_key::prune(tx, BATCH).await?.max(store::unique_period::prune(tx, BATCH).await?);
                Ok(gone as i64)
            }
        }
    }
}
