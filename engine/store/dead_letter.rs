//! Dead letters: what failed for good, until an operator deals with it.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use super::{StoreError, job, sql, storable};
use crate::{Enqueued, JobId, NewJob};

/// A dead letter.
#[derive(Debug, Clone, serde::Serialize, sqlx::FromRow)]
pub struct Letter {
    /// Its identity.
    pub id: Uuid,
    /// The kind of the job.
    pub topic: String,
    /// The queue it ran in.
    pub queue: Option<String>,
    /// The job that died.
    pub job_id: Option<JobId>,
    /// The error category that decided.
    pub category: Option<String>,
    /// Groups letters of one cause.
    pub fingerprint: Option<String>,
    /// The last error.
    pub error_message: Option<String>,
    /// How often it ran.
    pub attempts: Option<i32>,
    /// The arguments.
    pub payload: Json<Box<RawValue>>,
    /// When it died.
    pub created_at: DateTime<Utc>,
    /// Whether it was dealt with.
    pub resolved: bool,
    /// When it was dealt with.
    pub resolved_at: Option<DateTime<Utc>>,
    /// By whom.
    pub resolved_by: Option<String>,
    /// How.
    pub resolution: Option<String>,
    /// The job that took its place.
    pub requeued_job_id: Option<JobId>,
}

/// Which letters to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only of this category.
    pub category: Option<String>,
    /// Also those dealt with.
    pub resolved: bool,
}

/// Letters, newest first.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool, filter: &Filter, limit: i64) -> Result<Vec<Letter>, sqlx::Error> {
    sqlx::query_as(sql!("dead_letter/list"))
        .bind(&filter.kind)
        .bind(&filter.category)
        .bind(filter.resolved)
        .bind(limit)
        .fetch_all(pool)
        .await
}

/// One letter.
///
/// # Errors
/// [`StoreError::NoSuchLetter`]; otherwise the database's.
pub async fn show(pool: &PgPool, id: Uuid) -> Result<Letter, StoreError> {
    sqlx::query_as(sql!("dead_letter/show")).bind(id).fetch_optional(pool).await?.ok_or(StoreError::NoSuchLetter(id))
}

#[derive(sqlx::FromRow)]
struct Locked {
    topic: String,
    args: String,
    queue: Option<String>,
    priority: Option<i16>,
    unique_key: Option<String>,
    resolved: bool,
    resolution: Option<String>,
    job_id: Option<JobId>,
}

/// Runs a dead letter's job again, as a new job with a clean count of attempts; `args` replaces its arguments.
///
/// Two operators at once make one job: the letter is locked, and the second sees that it is resolved.
///
/// # Errors
/// [`StoreError::LetterResolved`], [`StoreError::LetterKeyHeld`], [`StoreError::NoSuchLetter`]; otherwise the database's.
pub async fn requeue(pool: &PgPool, id: Uuid, by: &str, args: Option<Box<RawValue>>) -> Result<Enqueued, StoreError> {
    let mut tx = pool.begin().await?;
    let letter = lock(&mut tx, id).await?;
    if letter.job_id.is_none() {
        return Err(StoreError::LetterWithoutJob(id));
    }
    let edited = args.is_some();
    let args = match args {
        Some(args) => args,
        None => RawValue::from_string(letter.args)?,
    };
    let mut fresh = NewJob::raw(letter.topic, args)
        .queue(letter.queue.unwrap_or_else(|| "default".into()))
        .priority(letter.priority.unwrap_or(5))
        .requeued_from(id);
    fresh.unique_key = letter.unique_key;
    let enqueued = job::enqueue(&mut tx, &fresh).await?;
    if !enqueued.created {
        return Err(StoreError::LetterKeyHeld(id, enqueued.id));
    }
    let resolution = if edited { "requeued with other arguments" } else { "requeued" };
    resolve(&mut tx, id, by, resolution, Some(enqueued.id)).await?;
    tx.commit().await?;
    Ok(enqueued)
}

/// Puts a dead letter away for good, for a reason that stays with it.
///
/// # Errors
/// [`StoreError::LetterResolved`], [`StoreError::NoSuchLetter`]; otherwise the database's.
pub async fn discard(pool: &PgPool, id: Uuid, by: &str, reason: &str) -> Result<(), StoreError> {
    let mut tx = pool.begin().await?;
    lock(&mut tx, id).await?;
    resolve(&mut tx, id, by, &storable(&format!("discarded: {reason}"), 1024), None).await?;
    tx.commit().await?;
    Ok(())
}

async fn lock(connection: &mut sqlx::PgConnection, id: Uuid) -> Result<Locked, StoreError> {
    let letter: Locked =
        sqlx::query_as(sql!("dead_letter/lock")).bind(id).fetch_optional(connection).await?.ok_or(StoreError::NoSuchLetter(id))?;
    if letter.resolved {
        return Err(StoreError::LetterResolved(id, letter.resolution.unwrap_or_else(|| "no reason was kept".into())));
    }
    Ok(letter)
}

async fn resolve(connection: &mut sqlx::PgConnection, id: Uuid, by: &str, resolution: &str, job: Option<JobId>) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("dead_letter/resolve")).bind(id).bind(by).bind(resolution).bind(job).execute(connection).await.map(drop)
}
