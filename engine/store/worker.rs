//! Workers and their leases.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{PgConnection, PgPool, types::Json};

use super::sql;
use crate::{JobId, failpoint::around};

/// Registers a worker with a lease of `lease_ms`; returns its id.
///
/// # Errors
/// The database's.
pub async fn register(connection: &mut PgConnection, name: &str, lease_ms: i64, info: &serde_json::Value) -> Result<i64, sqlx::Error> {
    around("worker/register", sqlx::query_scalar(sql!("worker/register")).bind(name).bind(lease_ms).bind(info).fetch_one(connection)).await
}

/// Renews a lease. `None`: the worker was declared dead. Otherwise the jobs it holds that should stop.
///
/// # Errors
/// The database's.
pub async fn renew(connection: &mut PgConnection, worker_id: i64, lease_ms: i64) -> Result<Option<Vec<JobId>>, sqlx::Error> {
    around("worker/renew", sqlx::query_scalar(sql!("worker/renew")).bind(worker_id).bind(lease_ms).fetch_optional(connection)).await
}

/// Looks at the leases of all others for a worker whose own lasts `lease_ms`, and declares those dead that have run out. Returns the dead.
///
/// # Errors
/// The database's.
pub async fn declare_dead(connection: &mut PgConnection, worker_id: i64, lease_ms: i64) -> Result<Vec<i64>, sqlx::Error> {
    let declaring = sqlx::query_scalar(sql!("worker/declare_dead")).bind(worker_id).bind(lease_ms).fetch_all(connection);
    around("worker/declare_dead", declaring).await
}

/// The name a worker's sessions bear, by which a rescuer finds what the dead left open.
pub fn session_name(worker_id: i64) -> String {
    format!("rawops worker {worker_id}")
}

/// Ends the sessions in which a transaction of a handler holds a job; returns how many.
///
/// # Errors
/// The database's.
pub async fn end_commits(connection: &mut PgConnection, job_id: JobId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql!("worker/end_commits")).bind(job_id).fetch_one(connection).await
}

/// Ends the database sessions of a dead worker; returns how many.
///
/// # Errors
/// The database's.
pub async fn end_sessions(connection: &mut PgConnection, worker_id: i64) -> Result<i64, sqlx::Error> {
    around("worker/end_sessions", sqlx::query_scalar(sql!("worker/end_sessions")).bind(session_name(worker_id)).fetch_one(connection)).await
}

/// Forgets a worker that ended in good order.
///
/// # Errors
/// The database's.
pub async fn leave(connection: &mut PgConnection, worker_id: i64) -> Result<(), sqlx::Error> {
    around("worker/leave", sqlx::query(sql!("worker/leave")).bind(worker_id).execute(connection)).await.map(drop)
}

/// Forgets workers that have been dead for as long as they are kept.
///
/// # Errors
/// The database's.
pub async fn prune(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(sql!("worker/prune")).execute(connection).await?.rows_affected())
}

/// A worker, and how it stands.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Registered {
    /// Another one each time that it registers.
    #[serde(serialize_with = "crate::why::as_text")]
    pub id: i64,
    /// How people recognise it.
    pub name: String,
    /// When it registered.
    pub started_at: DateTime<Utc>,
    /// Until when it holds its jobs, unless it renews that before.
    pub lease_until: DateTime<Utc>,
    /// Whether that time is over, and nobody has declared it dead yet.
    pub is_overdue: bool,
    /// When it was declared dead.
    pub dead_at: Option<DateTime<Utc>>,
    /// Whether it has nothing to do and wants to be woken.
    pub is_asleep: bool,
    /// What it said of itself: its process, version, queues, kinds and more.
    pub info: Json<Box<RawValue>>,
}

/// The newest `limit` workers that live and, with the dead, those that were declared dead and are still kept; the newest last.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool, with_dead: bool, limit: i64) -> Result<Vec<Registered>, sqlx::Error> {
    sqlx::query_as(sql!("worker/list")).bind(with_dead).bind(limit).fetch_all(pool).await
}

/// Says that a worker sleeps and wants to be notified.
///
/// # Errors
/// The database's.
pub async fn sleep(connection: &mut PgConnection, worker_id: i64) -> Result<(), sqlx::Error> {
    around("worker/sleep", sqlx::query(sql!("worker/sleep")).bind(worker_id).execute(connection)).await.map(drop)
}

/// Says that a worker is busy again.
///
/// # Errors
/// The database's.
pub async fn wake(connection: &mut PgConnection, worker_id: i64) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("worker/wake")).bind(worker_id).execute(connection).await.map(drop)
}
