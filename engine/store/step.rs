//! What workflows have done: their memo, one row a step.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sqlx::{PgConnection, types::Json};

use super::sql;
use crate::{JobId, failpoint::around};

/// One step of a workflow as it is stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Kept {
    /// Its place, from 1.
    pub position: i32,
    /// The attempt that began it.
    pub attempt: i32,
    /// What it is: `step`, `sleep`, `wait` and so on.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Whether it has ended; a sleep ends with time.
    pub ended: bool,
    /// When a sleep ends, or a wait gives up.
    pub until: Option<DateTime<Utc>>,
    /// The correlation key of a wait.
    pub key: Option<String>,
    /// The event that a wait received.
    pub event_id: Option<i64>,
    /// What it returned, as JSON.
    pub result: Option<String>,
}

/// Where a step stands: of which job, at which place, in which attempt, and its name.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// The workflow.
    pub job_id: JobId,
    /// The attempt that does it.
    pub attempt: i32,
    /// Its place, from 1.
    pub position: i32,
    /// Its name.
    pub name: &'a str,
}

/// All that a workflow has done, in order.
///
/// # Errors
/// The database's.
pub async fn load(connection: &mut PgConnection, job_id: JobId) -> Result<Vec<Kept>, sqlx::Error> {
    around("step/load", sqlx::query_as(sql!("step/load")).bind(job_id).fetch_all(connection)).await
}

/// The job that a step of a workflow was begun for first: another, where a dead letter went on and has that step to do, or to repeat.
///
/// # Errors
/// The database's.
pub async fn first_asked(connection: &mut PgConnection, job_id: JobId, position: i32, name: &str) -> Result<JobId, sqlx::Error> {
    sqlx::query_scalar(sql!("step/first_asked")).bind(job_id).bind(position).bind(name).fetch_one(connection).await
}

/// Keeps a step that has ended, with its result as JSON.
///
/// # Errors
/// The database's.
pub async fn keep(
    connection: &mut PgConnection,
    at: At<'_>,
    kind: &str,
    run_us: i64,
    result: &serde_json::Value,
) -> Result<(), sqlx::Error> {
    let statement = sqlx::query(sql!("step/keep")).bind(at.job_id).bind(at.position).bind(at.attempt).bind(kind).bind(at.name);
    around("step/keep", statement.bind(run_us).bind(result).execute(connection)).await.map(drop)
}

/// Lets a workflow begin anew after a place, with these arguments, as JSON.
///
/// # Errors
/// The database's.
pub async fn continue_as(connection: &mut PgConnection, at: At<'_>, args: &RawValue) -> Result<(), sqlx::Error> {
    let statement = sqlx::query(sql!("step/continue")).bind(at.job_id).bind(at.position).bind(at.attempt).bind(Json(args));
    around("step/continue", statement.execute(connection)).await.map(drop)
}

/// Keeps a sleep, for so many milliseconds or until a time; returns when it ends.
///
/// # Errors
/// The database's.
pub async fn sleep(connection: &mut PgConnection, at: At<'_>, ms: i64, until: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, sqlx::Error> {
    let statement = sqlx::query_scalar(sql!("step/sleep")).bind(at.job_id).bind(at.position).bind(at.attempt).bind(at.name);
    around("step/sleep", statement.bind(ms).bind(until).fetch_one(connection)).await
}

/// Keeps that a wait began; returns when it gives up.
///
/// # Errors
/// The database's.
pub async fn wait(
    connection: &mut PgConnection,
    at: At<'_>,
    key: Option<&str>,
    timeout_ms: Option<i64>,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let statement = sqlx::query_scalar(sql!("step/wait")).bind(at.job_id).bind(at.position).bind(at.attempt).bind(at.name);
    around("step/wait", statement.bind(key).bind(timeout_ms).fetch_one(connection)).await
}

/// Keeps how a wait ended: with an event and its payload, with something else that it waited for, or in vain.
///
/// # Errors
/// The database's.
pub async fn receive(connection: &mut PgConnection, at: At<'_>, event_id: Option<i64>, result: Option<&str>) -> Result<(), sqlx::Error> {
    let statement = sqlx::query(sql!("step/receive")).bind(at.job_id).bind(at.position).bind(event_id).bind(result);
    around("step/receive", statement.execute(connection)).await.map(drop)
}

/// Whether a moment has passed, by the database's clock.
///
/// # Errors
/// The database's.
pub async fn passed(connection: &mut PgConnection, moment: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql!("step/passed")).bind(moment).fetch_one(connection).await
}

/// Forgets steps of jobs that are gone with their partition, at most `limit`; returns how many.
///
/// # Errors
/// The database's.
pub async fn prune(connection: &mut PgConnection, limit: i64) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(sql!("step/prune")).bind(limit).execute(connection).await?.rows_affected())
}
