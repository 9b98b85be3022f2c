//! Jobs: described once, never changed.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sqlx::{PgConnection, types::Json};

use super::{StoreError, lane, sql};
use crate::{Enqueued, JobId, NewJob};

/// Enqueues one job in the caller's transaction.
///
/// # Errors
/// [`StoreError::KeyReused`] for an idempotency key with other arguments; otherwise the database's.
pub async fn enqueue(connection: &mut PgConnection, job: &NewJob) -> Result<Enqueued, StoreError> {
    let (producer, key) = job.idempotency_key.as_ref().map(|(producer, key)| (producer, key)).unzip();
    sqlx::query_as(sql!("job/enqueue"))
        .bind(&job.kind)
        .bind(Json(&job.args))
        .bind(&job.queue)
        .bind(job.priority)
        .bind(job.run_at)
        .bind(&job.unique_key)
        .bind(producer)
        .bind(key)
        .bind(&job.limit_key)
        .bind(job.max_attempts)
        .bind(job.parent)
        .bind(&job.trace_parent)
        .bind(job.requeued_from)
        .fetch_one(connection)
        .await
        .map_err(refused)
}

/// Enqueues many jobs in the caller's transaction; `None` where a unique key was taken.
///
/// # Errors
/// [`StoreError::KeyedInBulk`] when one has an idempotency key; otherwise the database's.
pub async fn enqueue_many(connection: &mut PgConnection, jobs: &[NewJob]) -> Result<Vec<Option<JobId>>, StoreError> {
    if let Some(index) = jobs.iter().position(|job| job.idempotency_key.is_some()) {
        return Err(StoreError::KeyedInBulk(index));
    }
    let lanes = lane::of_jobs(connection, jobs).await?;
    let kinds: Vec<&str> = jobs.iter().map(|job| job.kind.as_str()).collect();
    let args: Vec<Json<&RawValue>> = jobs.iter().map(|job| Json(&*job.args)).collect();
    let run_at: Vec<Option<DateTime<Utc>>> = jobs.iter().map(|job| job.run_at).collect();
    let unique_keys: Vec<Option<&str>> = jobs.iter().map(|job| job.unique_key.as_deref()).collect();
    let limit_keys: Vec<Option<&str>> = jobs.iter().map(|job| job.limit_key.as_deref()).collect();
    let max_attempts: Vec<Option<i16>> = jobs.iter().map(|job| job.max_attempts).collect();
    let rows: Vec<(i64, Option<JobId>)> = sqlx::query_as(sql!("job/enqueue_many"))
        .bind(lanes)
        .bind(kinds)
        .bind(args)
        .bind(run_at)
        .bind(unique_keys)
        .bind(limit_keys)
        .bind(max_attempts)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|(_, id)| id).collect())
}

fn refused(error: sqlx::Error) -> StoreError {
    match error.as_database_error() {
        Some(database) if database.code().as_deref() == Some("RW001") => StoreError::KeyReused(database.message().to_string()),
        _ => error.into(),
    }
}
