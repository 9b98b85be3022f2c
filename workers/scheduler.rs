//! The process `scheduler`: enqueues what is due by the clock.
//!
//! Any number may run; the one that leads fires. That an occurrence makes one job at most does not rest on leadership:
//! its idempotency key is the schedule and the occurrence. What was missed while nobody ran is made good for the latest
//! occurrence only, and an occurrence that comes while the last one's job still lives makes no second job.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use engine::{
    StoreError,
    store::{
        clock,
        leader::{self, Lead},
    },
};
use rand::RngExt;
use schedules::{SCHEDULES, Schedule};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    schema::{self, SchemaError},
    settings::{ConfigError, Reader},
};

const DUTY: &str = "scheduler";
const PRODUCER: &str = "schedule";

/// How late an occurrence may be made good: less than the time for which its key is kept.
const MISFIRE_LIMIT: TimeDelta = TimeDelta::days(jobs::health::KEPT_DAYS as i64 - 1);

/// Settings of a scheduler process.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// How often it looks at the clock.
    pub tick: Duration,
    /// For how long it leads without renewing: how late a successor begins after a crash.
    pub lease: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { tick: Duration::from_secs(1), lease: Duration::from_secs(10) }
    }
}

impl Config {
    /// Reads the process environment.
    ///
    /// # Errors
    /// Every setting that is not usable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads settings by name; an empty value counts as absent.
    ///
    /// # Errors
    /// Every setting that is not usable.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(lookup);
        let mut config = Self::default();
        if let Some(milliseconds) = reader.parsed("SCHEDULER_TICK_MS", "a number of milliseconds, like 1000") {
            config.tick = Duration::from_millis(milliseconds);
        }
        if let Some(milliseconds) = reader.parsed("SCHEDULER_LEASE_MS", "a number of milliseconds, like 10000") {
            config.lease = Duration::from_millis(milliseconds);
        }
        if let Err(error) = config.validate() {
            error.problems.into_iter().for_each(|problem| reader.problem(problem));
        }
        reader.finish(config)
    }

    /// Checks settings that were put together in code.
    ///
    /// # Errors
    /// What is not usable.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        if self.tick.is_zero() || self.tick > Duration::from_mins(1) {
            problems.push("the scheduler's tick, SCHEDULER_TICK_MS, is from 1 to 60000 ms".to_string());
        }
        if self.lease < self.tick * 3 {
            problems.push("the scheduler's lease, SCHEDULER_LEASE_MS, is three ticks or longer".to_string());
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }
}

/// Why a scheduler process ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings are not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database's schema is another one.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// What one look at the clock came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Whether this scheduler leads; the rest is zero when it does not.
    pub leads: bool,
    /// Occurrences that became a job.
    pub fired: usize,
    /// Occurrences that had fired before, or whose last job still lives.
    pub known: usize,
    /// Schedules that could not be looked at; the others were.
    pub failed: usize,
}

/// One scheduler.
pub struct Scheduler {
    pool: PgPool,
    schedules: &'static [Schedule],
    config: Config,
    holder: i64,
    /// The term in which the table was written down, and since when each schedule counts.
    written: Option<(Lead, HashMap<String, DateTime<Utc>>)>,
    /// The last occurrence of each schedule that needs no further look.
    done: HashMap<&'static str, DateTime<Utc>>,
}

impl Scheduler {
    /// A scheduler of these schedules.
    pub fn new(pool: PgPool, schedules: &'static [Schedule], config: Config) -> Self {
        let holder = rand::rng().random_range(1..i64::MAX);
        Self { pool, schedules, config, holder, written: None, done: HashMap::new() }
    }

    /// Fires until `shutdown`, then lets another lead at once. A database that is away is waited for.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let looked = async { self.run_once(clock::now(&self.pool).await?).await };
            if let Err(error) = looked.await {
                tracing::warn!(%error, "the scheduler cannot look, trying again");
            }
            shutdown.run_until_cancelled(tokio::time::sleep(self.config.tick)).await;
        }
        if let Err(error) = leader::resign(&self.pool, DUTY, self.holder).await {
            tracing::warn!(%error, "could not resign; a successor waits for the lease to run out");
        }
    }

    /// Takes or keeps the lead, and fires what is due at `now`.
    ///
    /// # Errors
    /// The database's, when not even the lead can be asked for.
    pub async fn run_once(&mut self, now: DateTime<Utc>) -> Result<Counts, sqlx::Error> {
        let lease_ms = self.config.lease.as_millis() as i64;
        let Some(lead) = leader::lead(&self.pool, DUTY, self.holder, lease_ms).await? else {
            return Ok(Counts::default());
        };
        if self.written.as_ref().is_none_or(|(written, _)| *written != lead) {
            let since = self.write_down().await?;
            tracing::info!(term = lead.term, schedules = self.schedules.len(), "this scheduler leads");
            self.written = Some((lead.clone(), since));
        }
        let mut counts = Counts { leads: true, ..Counts::default() };
        for schedule in self.schedules {
            match self.fire_if_due(&lead, schedule, now).await {
                Ok(Some(true)) => counts.fired += 1,
                Ok(Some(false)) => counts.known += 1,
                Ok(None) => {}
                Err(error) => {
                    counts.failed += 1;
                    tracing::error!(schedule = schedule.name, %error, "this schedule cannot be fired");
                }
            }
        }
        Ok(counts)
    }

    /// Makes `raw_ops.cron_jobs_metadata` say what this program fires; returns since when each schedule counts.
    async fn write_down(&self) -> Result<HashMap<String, DateTime<Utc>>, sqlx::Error> {
        let names: Vec<&str> = self.schedules.iter().map(|schedule| schedule.name).collect();
        let mut tx = self.pool.begin().await?;
        let removed: Vec<String> =
            sqlx::query_scalar(include_str!("sql/cron_jobs_metadata/remove_others.sql")).bind(&names).fetch_all(&mut *tx).await?;
        let since: Vec<(String, DateTime<Utc>)> = sqlx::query_as(include_str!("sql/cron_jobs_metadata/put.sql"))
            .bind(&names)
            .bind(self.schedules.iter().map(|schedule| schedule.description).collect::<Vec<_>>())
            .bind(self.schedules.iter().map(|schedule| format!("{} ({})", schedule.cron, schedule.zone)).collect::<Vec<_>>())
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        if !removed.is_empty() {
            tracing::info!(?removed, "schedules taken out: this program has none of that name");
        }
        Ok(since.into_iter().collect())
    }

    /// `None`: nothing new. Otherwise whether the occurrence became a job.
    async fn fire_if_due(&mut self, lead: &Lead, schedule: &Schedule, now: DateTime<Utc>) -> Result<Option<bool>, FireError> {
        let occurrence = schedule.latest(now)?;
        let since = self.written.as_ref().and_then(|(_, since)| since.get(schedule.name));
        if since.is_none_or(|since| occurrence < *since) || self.done.get(schedule.name) == Some(&occurrence) {
            return Ok(None);
        }
        if now - occurrence > MISFIRE_LIMIT {
            tracing::error!(schedule = schedule.name, %occurrence, "an occurrence was missed for too long to be made good");
            self.done.insert(schedule.name, occurrence);
            return Ok(None);
        }
        let fired = self.fire(lead, schedule, occurrence).await?;
        if let Some(created) = fired {
            self.done.insert(schedule.name, occurrence);
            tracing::info!(schedule = schedule.name, %occurrence, created, "fired");
        }
        Ok(fired)
    }

    /// Enqueues the job of one occurrence; false when it has one, `None` when somebody else leads by now.
    async fn fire(&self, lead: &Lead, schedule: &Schedule, occurrence: DateTime<Utc>) -> Result<Option<bool>, FireError> {
        let key = format!("{} {}", schedule.name, occurrence.to_rfc3339_opts(SecondsFormat::Secs, true));
        let job = (schedule.job)()?.unique_key(schedule.name).idempotency_key(PRODUCER, key);
        let mut tx = self.pool.begin().await?;
        if !leader::still_leads(&mut tx, lead).await? {
            return Ok(None);
        }
        let enqueued = match engine::enqueue_in(&mut tx, &job).await {
            Ok(enqueued) => enqueued,
            // Another version of this program fired it, with the arguments that its job had.
            Err(StoreError::KeyReused(_)) => return Ok(Some(false)),
            Err(error) => return Err(error.into()),
        };
        tx.commit().await?;
        Ok(Some(enqueued.created))
    }
}

#[derive(Debug, thiserror::Error)]
enum FireError {
    #[error(transparent)]
    Cron(#[from] schedules::CronError),
    #[error("its job does not serialise: {0}")]
    Job(#[from] serde_json::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Fires every schedule of the house until `shutdown`. A database that is away is waited for.
///
/// # Errors
/// What keeps it from beginning; nothing was touched then.
pub async fn run(config: Config, pool: PgPool, shutdown: CancellationToken) -> Result<(), Error> {
    config.validate()?;
    if schema::wait_until_current(&pool, &shutdown).await? {
        Scheduler::new(pool, SCHEDULES, config).run(shutdown).await;
    }
    Ok(())
}
