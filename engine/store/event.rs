//! Events: what happened, by name and correlation key, and who waits for it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, types::Json};

use super::{StoreError, sql};
use crate::{JobId, failpoint::around, sqlstate, trace};

/// What came of emitting an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Emitted {
    /// The event: new, or the one that has the idempotency key.
    #[serde(serialize_with = "as_text")]
    pub id: i64,
    /// Whether this call made it.
    pub created: bool,
    /// How many workflows that waited for it were woken.
    pub woken: i32,
}

/// Emits an event in the caller's transaction.
///
/// # Errors
/// [`StoreError::KeyReused`] for an idempotency key with another payload; [`StoreError::PayloadTooLarge`]; otherwise the
/// database's.
pub async fn emit(
    connection: &mut PgConnection,
    name: &str,
    key: &str,
    payload: &serde_json::Value,
    idempotency_key: Option<&str>,
) -> Result<Emitted, StoreError> {
    let statement = sqlx::query_as(sql!("event/emit")).bind(name).bind(key).bind(Json(payload)).bind(idempotency_key);
    let statement = statement.bind(trace::current().map(|trace| trace.text()));
    around("event/emit", statement.fetch_one(connection)).await.map_err(refused)
}

fn refused(error: sqlx::Error) -> StoreError {
    match error.as_database_error() {
        Some(database) if database.code().as_deref() == Some("RW001") => StoreError::KeyReused(database.message().to_string()),
        Some(database) if database.constraint() == Some("event_payload_size") => StoreError::PayloadTooLarge,
        _ => error.into(),
    }
}

/// Meets those who emit this event: what they committed is seen by the next statement, and they see this transaction.
/// False when they take longer than a second; the transaction is of no use then.
///
/// # Errors
/// The database's.
pub async fn meet(connection: &mut PgConnection, name: &str, key: &str) -> Result<bool, sqlx::Error> {
    sqlx::query(sql!("topic/lock_timeout")).execute(&mut *connection).await?;
    match around("topic/touch", sqlx::query(sql!("topic/touch")).bind(name).bind(key).execute(connection)).await {
        Ok(_) => Ok(true),
        Err(error) if sqlstate::is_lock_timeout(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The next event of a name and key.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Next {
    /// Its id, if there is one.
    pub id: Option<i64>,
    /// Its payload as JSON.
    pub payload: Option<String>,
    /// The place in a trace that it was emitted at.
    pub trace_parent: Option<String>,
    /// Whether the time to wait is over.
    pub late: bool,
}

/// The first event after one that was received, and whether it is later than `until`.
///
/// # Errors
/// The database's.
pub async fn next(
    connection: &mut PgConnection,
    name: &str,
    key: &str,
    after: i64,
    until: Option<DateTime<Utc>>,
) -> Result<Next, sqlx::Error> {
    let statement = sqlx::query_as(sql!("event/next")).bind(name).bind(key).bind(after).bind(until);
    around("event/next", statement.fetch_one(connection)).await
}

/// Takes note that a workflow waits for an event after one that it received.
///
/// # Errors
/// The database's.
pub async fn wait(connection: &mut PgConnection, job_id: JobId, name: &str, key: &str, after: i64) -> Result<(), sqlx::Error> {
    let statement = sqlx::query(sql!("event_wait/put")).bind(job_id).bind(name).bind(key).bind(after);
    around("event_wait/put", statement.execute(connection)).await.map(drop)
}

/// Takes note that a workflow waits no more.
///
/// # Errors
/// The database's.
pub async fn stop_waiting(connection: &mut PgConnection, job_id: JobId) -> Result<(), sqlx::Error> {
    around("event_wait/remove", sqlx::query(sql!("event_wait/remove")).bind(job_id).execute(connection)).await.map(drop)
}

/// Forgets events older than so many days, what is left of topics, and waits of jobs that have ended; at most `limit` of
/// each. Returns how many events went.
///
/// # Errors
/// The database's.
pub async fn prune(connection: &mut PgConnection, days: i32, limit: i64) -> Result<u64, sqlx::Error> {
    sqlx::query(sql!("event_wait/prune")).bind(limit).execute(&mut *connection).await?;
    sqlx::query(sql!("topic/prune")).bind(days).bind(limit).execute(&mut *connection).await?;
    Ok(sqlx::query(sql!("event/prune")).bind(days).bind(limit).execute(connection).await?.rows_affected())
}

/// An id as JSON shows it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn as_text<S: serde::Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
