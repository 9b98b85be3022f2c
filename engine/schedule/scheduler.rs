//! The scheduler: takes the lead, and fires what is due by the database's clock.
//!
//! Any number may run. The leader acts in transactions that prove its term, so that of two who believe that they lead
//! one acts. What it has dealt with is in the database, so a successor goes on where it stopped; what nobody fired for a
//! while is missed, and the schedule's misfire policy says what follows. A clock that is set back is followed: an
//! occurrence that has its row makes no second job.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rand::RngExt;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{InForce, Schedule, fire::Dealt, look::Look, table};
use crate::store::{
    self, clock,
    leader::{self, Lead},
    schedule::Row,
};

/// How long one look may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the leader forgets old occurrences, and how many at most each time.
const PRUNE_EVERY: Duration = Duration::from_mins(10);
const PRUNE_BATCH: i64 = 10_000;
/// The longest lease, the longest grace, and the longest that occurrences are kept.
const LONGEST_LEASE: Duration = Duration::from_hours(24);
const LONGEST_GRACE: Duration = Duration::from_hours(24 * 365);
const LONGEST_KEPT: Duration = Duration::from_hours(24 * 36_525);

/// Why a scheduler does not begin.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// A setting is nonsense.
    #[error("{0}")]
    Config(&'static str),
    /// A schedule of the program makes no sense.
    #[error("schedule {name:?}: {why}")]
    Schedule {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// Settings of a scheduler.
#[derive(Debug, Clone)]
pub struct Config {
    /// How often it looks at the clock.
    pub tick: Duration,
    /// For how long it leads without renewing: how late a successor begins after a crash.
    pub lease: Duration,
    /// How late an occurrence may be fired before it counts as missed.
    pub grace: Duration,
    /// For how long occurrences are kept.
    pub kept: Duration,
    /// How many occurrences of one schedule are kept at most.
    pub kept_most: i64,
    /// What is led: programs with tables of their own on one database need names of their own.
    pub duty: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(1),
            lease: Duration::from_secs(10),
            grace: Duration::from_mins(1),
            kept: Duration::from_hours(90 * 24),
            kept_most: 10_000,
            duty: "scheduler".into(),
        }
    }
}

impl Config {
    /// Refuses nonsense.
    ///
    /// # Errors
    /// One sentence that names the setting and what it may be.
    pub fn validate(&self) -> Result<(), SchedulerError> {
        let refuse = |what| Err(SchedulerError::Config(what));
        if self.tick < Duration::from_millis(1) {
            return refuse("a scheduler's tick is 1 ms or longer");
        }
        if self.lease <= self.tick || self.lease > LONGEST_LEASE {
            return refuse("a scheduler's lease is longer than its tick, and a day at most");
        }
        if self.grace > LONGEST_GRACE {
            return refuse("a scheduler's grace is a year at most");
        }
        if self.kept > LONGEST_KEPT || self.kept_most < 1 {
            return refuse("a scheduler keeps occurrences for a hundred years at most, and one of each schedule at least");
        }
        Ok(())
    }
}

/// What one look at the clock came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Whether this scheduler leads; the rest is zero when it does not.
    pub leads: bool,
    /// Occurrences that made a job.
    pub fired: usize,
    /// Occurrences that had been dealt with before.
    pub known: usize,
    /// Occurrences that made no job, or make it later, because their last job lives.
    pub overlapped: usize,
    /// Occurrences that were missed and let go.
    pub let_go: usize,
    /// Schedules that cannot fire; the others did.
    pub failed: usize,
    /// Whether more was due than one look deals with.
    pub behind: bool,
}

impl Counts {
    pub(super) const fn add(&mut self, dealt: Dealt) {
        match dealt {
            Dealt::Fired => self.fired += 1,
            Dealt::Known => self.known += 1,
            Dealt::Overlapped => self.overlapped += 1,
            Dealt::LetGo => self.let_go += 1,
            Dealt::Undone => {}
        }
    }
}

/// One scheduler.
pub struct Scheduler {
    pool: PgPool,
    schedules: Vec<Schedule>,
    config: Config,
    holder: i64,
    lead: Option<Lead>,
    pruned: Option<Instant>,
    in_force: Vec<InForce>,
}

impl Scheduler {
    /// A scheduler of these schedules; [`Scheduler::run`] refuses those that make no sense.
    pub fn new(pool: PgPool, schedules: impl Into<Vec<Schedule>>, config: Config) -> Self {
        // The process in the upper half, so that an operator sees who leads; the lower half is this scheduler's alone.
        let holder = i64::from(std::process::id()) << 32 | i64::from(rand::rng().random::<u32>());
        Self { pool, schedules: schedules.into(), config, holder, lead: None, pruned: None, in_force: Vec::new() }
    }

    /// Refuses a table and settings that make no sense, for who looks by himself and does not [`run`](Scheduler::run).
    ///
    /// # Errors
    /// What is wrong with them, and with which schedule.
    pub fn validate(&self) -> Result<(), SchedulerError> {
        self.config.validate()?;
        table::validate(&self.schedules)
    }

    /// Fires until `shutdown`, then lets another lead at once. A database that is away is waited for.
    ///
    /// # Errors
    /// As [`Scheduler::validate`], before anything is fired.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), SchedulerError> {
        self.validate()?;
        while !shutdown.is_cancelled() {
            if !self.look().await.behind {
                shutdown.run_until_cancelled(tokio::time::sleep(self.config.tick)).await;
            }
        }
        self.resign().await;
        Ok(())
    }

    /// One look by the database's clock. What goes wrong is logged; the next look tries again.
    pub async fn look(&mut self) -> Counts {
        let pool = self.pool.clone();
        let looked = async { self.run_once(clock::now(&pool).await?).await };
        match tokio::time::timeout(PATIENCE, looked).await {
            Ok(Ok(counts)) => return counts,
            Ok(Err(error)) => tracing::warn!(%error, "the scheduler cannot look, trying again"),
            Err(_) => tracing::warn!("the database did not answer for {} s, trying again", PATIENCE.as_secs()),
        }
        Counts::default()
    }

    /// Gives the lead up, so that a successor need not wait for the lease to run out.
    pub async fn resign(&self) {
        if let Err(error) = leader::resign(&self.pool, &self.config.duty, self.holder).await {
            tracing::warn!(%error, "could not resign; a successor waits for the lease to run out");
        }
    }

    /// The schedules as they were in force at the last look in which this scheduler led.
    pub fn in_force(&self) -> &[InForce] {
        &self.in_force
    }

    /// The lead that this scheduler had at its last look.
    pub const fn lead(&self) -> Option<&Lead> {
        self.lead.as_ref()
    }

    /// Takes or keeps the lead, and fires what is due at `now`, in rounds: an occurrence of each schedule, those that are furthest
    /// behind first. After half a lease it leaves the rest to the next look, which keeps the lead.
    ///
    /// # Errors
    /// The database's, when it cannot be asked at all.
    pub async fn run_once(&mut self, now: DateTime<Utc>) -> Result<Counts, sqlx::Error> {
        let until = Instant::now() + self.config.lease / 2;
        let lease_ms = self.config.lease.as_millis() as i64;
        let Some(lead) = leader::lead(&self.pool, &self.config.duty, self.holder, lease_ms).await? else {
            self.lead = None;
            return Ok(Counts::default());
        };
        let rows = self.load(&lead).await?;
        let row_of = |schedule: &Schedule| rows.iter().find(|row| row.name == schedule.name);
        let known: Vec<(&Schedule, &Row)> = self.schedules.iter().filter_map(|schedule| Some((schedule, row_of(schedule)?))).collect();
        self.in_force = known.iter().map(|(schedule, row)| InForce::new(schedule, Some(row))).collect();
        let look = Look { pool: &self.pool, lead: &lead, now, grace: self.config.grace };
        let counts = look.deal_with(known, until).await?;
        self.lead = Some(lead);
        self.prune().await?;
        Ok(counts)
    }

    /// Reads how far each schedule has been dealt with and what operators changed; in a new term the program's table first.
    async fn load(&self, lead: &Lead) -> Result<Vec<Row>, sqlx::Error> {
        let names: Vec<&str> = self.schedules.iter().map(|schedule| schedule.name).collect();
        let rows = store::schedule::load(&self.pool, &names).await?;
        if self.lead.as_ref() == Some(lead) && rows.len() == names.len() {
            return Ok(rows);
        }
        let mut tx = self.pool.begin().await?;
        if leader::still_leads(&mut tx, lead).await? {
            store::schedule::know(&mut tx, &names, &self.schedules.iter().map(line).collect::<Vec<_>>()).await?;
        }
        tx.commit().await?;
        tracing::info!(term = lead.term, schedules = names.len(), "this scheduler leads");
        store::schedule::load(&self.pool, &names).await
    }

    async fn prune(&mut self) -> Result<(), sqlx::Error> {
        if self.pruned.is_some_and(|last| last.elapsed() < PRUNE_EVERY) {
            return Ok(());
        }
        self.pruned = Some(Instant::now());
        let gone = store::occurrence::prune(&self.pool, self.config.kept, self.config.kept_most, PRUNE_BATCH).await?;
        if gone > 0 {
            tracing::info!(gone, "old occurrences forgotten");
        }
        Ok(())
    }
}

/// What the program says of when, to see that it says something else than before.
pub(super) fn line(schedule: &Schedule) -> String {
    format!("{} ({})", schedule.cron, schedule.zone)
}
