//! What jobs say of themselves while they run.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use super::{sql, storable};
use crate::{JobId, failpoint::around};

/// The most lines that the log of one job keeps.
pub const LINES: i32 = 100;
/// The most bytes that one line of a log keeps.
pub const LINE_LIMIT: usize = 1024;

/// How far a job is, by its own word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Progress {
    /// The attempt that said it.
    pub attempt: i32,
    /// What is done, in whatever the job counts.
    pub done: i64,
    /// What there is to do, if the job knows.
    pub total: Option<i64>,
    /// In words.
    pub note: Option<String>,
    /// When it was said.
    pub updated_at: DateTime<Utc>,
}

/// One line of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct LogLine {
    /// The attempt that logged it.
    pub attempt: i32,
    /// When.
    pub logged_at: DateTime<Utc>,
    /// What.
    pub line: String,
}

/// Notes how far a job is.
///
/// # Errors
/// The database's.
pub async fn progress(
    connection: &mut PgConnection,
    job_id: JobId,
    attempt: i32,
    done: u64,
    total: Option<u64>,
    note: Option<&str>,
) -> Result<(), sqlx::Error> {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let note = note.map(|note| storable(note, LINE_LIMIT));
    let statement = sqlx::query(sql!("note/progress")).bind(job_id).bind(attempt).bind(count(done)).bind(total.map(count)).bind(note);
    around("note/progress", statement.execute(connection)).await.map(drop)
}

/// Appends lines to a job's log, of which the last [`LINES`] stay.
///
/// # Errors
/// The database's.
pub async fn log(connection: &mut PgConnection, job_id: JobId, attempt: i32, text: &str) -> Result<(), sqlx::Error> {
    let lines: Vec<String> = text.lines().map(|line| storable(line, LINE_LIMIT)).collect();
    around("note/log", sqlx::query(sql!("note/log")).bind(job_id).bind(attempt).bind(lines).bind(LINES).execute(connection)).await.map(drop)
}

/// How far a job is, if it said so.
///
/// # Errors
/// The database's.
pub async fn show(pool: &PgPool, job_id: JobId) -> Result<Option<Progress>, sqlx::Error> {
    sqlx::query_as(sql!("note/show")).bind(job_id).fetch_optional(pool).await
}

/// The last lines of a job's log, oldest first.
///
/// # Errors
/// The database's.
pub async fn tail(pool: &PgPool, job_id: JobId) -> Result<Vec<LogLine>, sqlx::Error> {
    sqlx::query_as(sql!("note/tail")).bind(job_id).fetch_all(pool).await
}

/// Forgets what jobs said that are gone with their partition, at most `limit` rows of each kind; returns how many.
///
/// # Errors
/// The database's.
pub async fn prune(connection: &mut PgConnection, limit: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql!("note/prune")).bind(limit).fetch_one(connection).await
}
