//! Occurrences: each time a schedule came, and the job that it made.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool, types::Json};

use super::{
    StoreError,
    job::{milliseconds, refused},
    sql, storable,
};
use crate::{Enqueued, JobId, NewJob};

/// Why a schedule came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By its line, on time.
    Cron,
    /// By its line, and it was missed.
    Misfire,
    /// An operator asked for it.
    Manual,
}

impl How {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cron => "cron",
            Self::Misfire => "misfire",
            Self::Manual => "manual",
        }
    }
}

/// One time that a schedule came.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Occurrence {
    /// The schedule's name.
    pub schedule: String,
    /// When it was due.
    pub occurrence: DateTime<Utc>,
    /// When it was dealt with.
    pub fired_at: DateTime<Utc>,
    /// The job that it made; none when the note says why.
    pub job_id: Option<JobId>,
    /// `cron`, `misfire` or `manual`.
    pub how: String,
    /// Who ran it by hand.
    pub by: Option<String>,
    /// What is worth knowing.
    pub note: Option<String>,
    /// Where the job stands; `None` when it made none or it is no longer kept.
    pub state: Option<String>,
    /// When the job's last attempt ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// What is noted of an occurrence that found a job which was there already.
pub(crate) const HELD: &str = "no new job: this one holds the unique key";

/// The time of a schedule that a job was made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct MadeFor {
    /// The schedule's name.
    pub schedule: String,
    /// When it was due.
    pub due: DateTime<Utc>,
    /// `cron`, `misfire` or `manual`.
    pub how: String,
}

/// The time of a schedule that a job was made for, or the job in whose place it runs.
///
/// # Errors
/// The database's.
pub async fn made_for(pool: &PgPool, job: JobId) -> Result<Option<MadeFor>, sqlx::Error> {
    sqlx::query_as(sql!("occurrence/of_job")).bind(job).bind(HELD).fetch_optional(pool).await
}

/// What is noted of an occurrence.
#[derive(Debug, Clone, Copy)]
pub struct Noted<'a> {
    /// When it was due.
    pub at: DateTime<Utc>,
    /// The job that it made.
    pub job_id: Option<JobId>,
    /// Why it came.
    pub how: How,
    /// Who asked for it.
    pub by: Option<&'a str>,
    /// What is worth knowing.
    pub note: Option<&'a str>,
}

/// Makes a job of a schedule that the transaction has locked, by hand of `by`, and notes both.
///
/// # Errors
/// As [`crate::enqueue_in`].
pub async fn run_now(
    connection: &mut PgConnection,
    schedule: &str,
    at: DateTime<Utc>,
    by: &str,
    note: Option<&str>,
    job: &NewJob,
) -> Result<Enqueued, StoreError> {
    job.check()?;
    sqlx::query_as(sql!("occurrence/run_now"))
        .bind(schedule)
        .bind(at)
        .bind(by)
        .bind(note)
        .bind(&job.kind)
        .bind(Json(&job.args))
        .bind(&job.queue)
        .bind(job.priority)
        .bind(&job.unique.key)
        .bind(job.max_attempts)
        .bind(&job.limit_key)
        .bind(job.deadline)
        .bind(job.unique.by_args)
        .bind(job.unique.period.map(milliseconds))
        .bind(job.unique.until_started)
        .bind(job.unique.replaces)
        .fetch_one(connection)
        .await
        .map_err(refused)
}

/// Notes an occurrence of a schedule that the transaction has locked.
///
/// # Errors
/// The database's; a unique violation when it was noted before.
pub async fn put(connection: &mut PgConnection, schedule: &str, noted: Noted<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("occurrence/put"))
        .bind(schedule)
        .bind(noted.at)
        .bind(noted.job_id)
        .bind(noted.how.as_str())
        .bind(noted.by.map(|by| storable(by, 200)))
        .bind(noted.note.map(|note| storable(note, 1024)))
        .execute(connection)
        .await
        .map(drop)
}

/// Whether an occurrence has been dealt with.
///
/// # Errors
/// The database's.
pub async fn is_known(connection: &mut PgConnection, schedule: &str, at: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql!("occurrence/known")).bind(schedule).bind(at).fetch_one(connection).await
}

/// Forgets what made no job and lies after `now`.
///
/// # Errors
/// The database's.
pub async fn forget_jobless(connection: &mut PgConnection, schedule: &str, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("occurrence/forget_jobless")).bind(schedule).bind(now).execute(connection).await.map(drop)
}

/// The newest job of a schedule that has not ended.
///
/// # Errors
/// The database's.
pub async fn alive(connection: &mut PgConnection, schedule: &str) -> Result<Option<JobId>, sqlx::Error> {
    sqlx::query_scalar(sql!("occurrence/alive")).bind(schedule).fetch_optional(connection).await
}

/// The last times a schedule came, newest first.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool, schedule: &str, limit: i64) -> Result<Vec<Occurrence>, sqlx::Error> {
    sqlx::query_as(sql!("occurrence/list")).bind(schedule).bind(limit).fetch_all(pool).await
}

/// The last time that each of these schedules came.
///
/// # Errors
/// The database's.
pub async fn last(pool: &PgPool, names: &[&str]) -> Result<Vec<Occurrence>, sqlx::Error> {
    sqlx::query_as(sql!("occurrence/last")).bind(names).fetch_all(pool).await
}

/// Forgets occurrences that are older than `kept`, and those beyond the newest `most` of a schedule; at most `batch`.
/// Returns how many it forgot.
///
/// # Errors
/// The database's.
pub async fn prune(pool: &PgPool, kept: Duration, most: i64, batch: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql!("occurrence/prune")).bind(kept.as_secs() as f64).bind(most).bind(batch).fetch_one(pool).await
}
