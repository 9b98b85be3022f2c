//! Schedules: what operators changed of them, and how far each has been dealt with.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::{brief, sql, storable};

/// A schedule as the database has it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Every occurrence up to here was fired, made good or let go.
    pub done_to: DateTime<Utc>,
    /// The occurrence that waits for the end of the last job.
    pub buffered: Option<DateTime<Utc>>,
    /// Why it cannot fire.
    pub problem: Option<String>,
    /// Whether an operator stopped it.
    pub paused: bool,
    /// An operator's line.
    pub cron: Option<String>,
    /// An operator's zone.
    pub zone: Option<String>,
    /// An operator's misfire policy.
    pub misfire: Option<String>,
    /// An operator's overlap policy.
    pub overlap: Option<String>,
    /// An operator's jitter, in seconds.
    pub jitter_s: Option<i32>,
    /// When an operator last changed it.
    pub changed_at: Option<DateTime<Utc>>,
    /// Who that was.
    pub changed_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// How often operators changed it.
    pub edits: i32,
}

/// What an operator wants of a schedule; `None` is what the program has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether it is stopped.
    pub paused: bool,
    /// Its line.
    pub cron: Option<String>,
    /// Its zone.
    pub zone: Option<String>,
    /// Its misfire policy.
    pub misfire: Option<String>,
    /// Its overlap policy.
    pub overlap: Option<String>,
    /// Its jitter, in seconds.
    pub jitter_s: Option<i32>,
}

/// Makes schedules known, each with the line and zone that the program has.
///
/// # Errors
/// The database's.
pub async fn know(connection: &mut PgConnection, names: &[&str], lines: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("schedule/know")).bind(names).bind(lines).execute(connection).await.map(drop)
}

/// Makes one schedule known that no scheduler may have seen yet.
///
/// # Errors
/// The database's.
pub async fn ensure(connection: &mut PgConnection, name: &str, line: &str) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("schedule/ensure")).bind(name).bind(line).execute(connection).await.map(drop)
}

/// The schedules of these names.
///
/// # Errors
/// The database's.
pub async fn load(pool: &PgPool, names: &[&str]) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(sql!("schedule/load")).bind(names).fetch_all(pool).await
}

/// Begins a transaction of a schedule. It waits for locks for a moment only: what somebody holds, such as a unique key, all other
/// schedules would wait for with it.
///
/// # Errors
/// The database's.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    brief::begin(pool, Duration::from_millis(200)).await
}

/// Locks a schedule until the transaction ends; `None` when it is not known.
///
/// # Errors
/// The database's.
pub async fn lock(connection: &mut PgConnection, name: &str) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as(sql!("schedule/lock")).bind(name).fetch_optional(connection).await
}

/// Notes how far a locked schedule has been dealt with, and which occurrence waits.
///
/// # Errors
/// The database's.
pub async fn advance(
    connection: &mut PgConnection,
    name: &str,
    done_to: DateTime<Utc>,
    buffered: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("schedule/advance")).bind(name).bind(done_to).bind(buffered).execute(connection).await.map(drop)
}

/// Notes why a schedule cannot fire, or that it can again.
///
/// # Errors
/// The database's.
pub async fn note_problem(pool: &PgPool, name: &str, problem: Option<&str>) -> Result<(), sqlx::Error> {
    let problem = problem.map(|problem| storable(problem, 1024));
    sqlx::query(sql!("schedule/note_problem")).bind(name).bind(problem).execute(pool).await.map(drop)
}

/// Changes a locked schedule. With `from_now`, occurrences before this moment no longer count.
///
/// # Errors
/// The database's.
pub async fn edit(
    connection: &mut PgConnection,
    name: &str,
    by: &str,
    reason: Option<&str>,
    wanted: &Wanted,
    from_now: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("schedule/edit"))
        .bind(name)
        .bind(storable(by, 200))
        .bind(reason.map(|reason| storable(reason, 1024)))
        .bind(wanted.paused)
        .bind(&wanted.cron)
        .bind(&wanted.zone)
        .bind(&wanted.misfire)
        .bind(&wanted.overlap)
        .bind(wanted.jitter_s)
        .bind(from_now)
        .execute(connection)
        .await
        .map(drop)
}
