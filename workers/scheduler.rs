//! The process `scheduler`: enqueues what is due by the clock, and keeps `raw_ops.cron_jobs_metadata` saying what that is.
//!
//! The scheduling is the engine's (`engine::schedule`); any number of these may run, and the one that leads fires.

use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::{
    schedule::{self, InForce, Schedule, SchedulerError},
    store::leader::{self, Lead},
};
use schedules::SCHEDULES;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    schema::{self, SchemaError},
    settings::{ConfigError, Reader},
};

pub use engine::schedule::Counts;

/// The longest lease: a successor of a leader that crashed begins that late.
const LONGEST_LEASE: Duration = Duration::from_mins(5);

/// Settings of a scheduler process.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// How often it looks at the clock.
    pub tick: Duration,
    /// For how long it leads without renewing: how late a successor begins after a crash.
    pub lease: Duration,
    /// For how many days the history of schedules is kept.
    pub kept_days: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { tick: Duration::from_secs(1), lease: Duration::from_secs(10), kept_days: 90 }
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
        if let Some(days) = reader.parsed("SCHEDULER_KEPT_DAYS", "a number of days, like 90") {
            config.kept_days = days;
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
        if self.lease > LONGEST_LEASE {
            problems.push("the scheduler's lease, SCHEDULER_LEASE_MS, is 300000 ms at most: a successor begins that late".to_string());
        }
        if !(1..=3650).contains(&self.kept_days) {
            problems.push("occurrences of schedules, SCHEDULER_KEPT_DAYS, are kept from 1 to 3650 days".to_string());
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }
}

/// One scheduler of the house.
pub struct Scheduler {
    pool: PgPool,
    config: Config,
    engine: schedule::Scheduler,
    /// What was written down, in which term.
    written: Option<(Lead, Vec<InForce>)>,
}

impl Scheduler {
    /// A scheduler of these schedules.
    pub fn new(pool: PgPool, schedules: &[Schedule], config: Config) -> Self {
        let kept = Duration::from_hours(config.kept_days * 24);
        let settings = schedule::Config { tick: config.tick, lease: config.lease, kept, ..schedule::Config::default() };
        Self { engine: schedule::Scheduler::new(pool.clone(), schedules, settings), pool, config, written: None }
    }

    /// Fires until `shutdown`, then lets another lead at once. A database that is away is waited for.
    ///
    /// # Errors
    /// Which schedule makes no sense, before anything is fired.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), SchedulerError> {
        self.engine.validate()?;
        while !shutdown.is_cancelled() {
            let counts = self.engine.look().await;
            if let Err(error) = self.write_down(counts).await {
                tracing::warn!(%error, "cron_jobs_metadata is not up to date, trying again");
            }
            if !counts.behind {
                shutdown.run_until_cancelled(tokio::time::sleep(self.config.tick)).await;
            }
        }
        self.engine.resign().await;
        Ok(())
    }

    /// Takes or keeps the lead, fires what is due at `now`, and writes down what changed.
    ///
    /// # Errors
    /// The database's, when it cannot be asked at all.
    pub async fn run_once(&mut self, now: DateTime<Utc>) -> Result<Counts, sqlx::Error> {
        let counts = self.engine.run_once(now).await?;
        self.write_down(counts).await?;
        Ok(counts)
    }

    /// Makes `raw_ops.cron_jobs_metadata` say what is fired, when the lead is new or an operator changed something.
    async fn write_down(&mut self, counts: Counts) -> Result<(), sqlx::Error> {
        let Some(lead) = self.engine.lead().filter(|_| counts.leads) else { return Ok(()) };
        let in_force = self.engine.in_force();
        if self.written.as_ref().is_some_and(|(written, before)| written == lead && before == in_force) {
            return Ok(());
        }
        let names: Vec<&str> = in_force.iter().map(|schedule| schedule.name).collect();
        let mut tx = self.pool.begin().await?;
        if !leader::still_leads(&mut tx, lead).await? {
            return Ok(());
        }
        let removed: Vec<String> =
            sqlx::query_scalar(include_str!("sql/cron_jobs_metadata/remove_others.sql")).bind(&names).fetch_all(&mut *tx).await?;
        sqlx::query(include_str!("sql/cron_jobs_metadata/put.sql"))
            .bind(&names)
            .bind(in_force.iter().map(|schedule| schedule.description).collect::<Vec<_>>())
            .bind(in_force.iter().map(line).collect::<Vec<_>>())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        if !removed.is_empty() {
            tracing::info!(?removed, "schedules taken out: this program has none of that name");
        }
        self.written = Some((lead.clone(), in_force.to_vec()));
        Ok(())
    }
}

/// When a schedule is fired, in words.
fn line(schedule: &InForce) -> String {
    let paused = if schedule.settings.paused { ", paused" } else { "" };
    format!("{} ({}{paused})", schedule.settings.cron, schedule.settings.zone)
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
    /// A schedule of the house makes no sense.
    #[error(transparent)]
    Schedule(#[from] SchedulerError),
}

/// Fires every schedule of the house until `shutdown`. A database that is away is waited for.
///
/// # Errors
/// What keeps it from beginning; nothing was touched then.
pub async fn run(config: Config, pool: PgPool, shutdown: CancellationToken) -> Result<(), Error> {
    config.validate()?;
    if schema::wait_until_current(&pool, &shutdown).await? {
        Scheduler::new(pool, SCHEDULES, config).run(shutdown).await?;
    }
    Ok(())
}
