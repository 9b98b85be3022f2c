//! Jobs: described once, never changed; and where they stand, for people.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::{
    StoreError, lane, look,
    note::{self, LogLine, Progress},
    sql,
};
use crate::{Enqueued, JobId, NewJob, failpoint::around};

/// Enqueues one job in the caller's transaction.
///
/// # Errors
/// [`StoreError::KeyReused`] for an idempotency key with other arguments; [`StoreError::Refused`] for a name or a number that is none,
/// and for options that do not go together; otherwise the database's.
pub async fn enqueue(connection: &mut PgConnection, job: &NewJob) -> Result<Enqueued, StoreError> {
    job.check()?;
    let (producer, key) = job.idempotency_key.as_ref().map(|(producer, key)| (producer, key)).unzip();
    let enqueueing = sqlx::query_as(sql!("job/enqueue"))
        .bind(&job.kind)
        .bind(Json(&job.args))
        .bind(&job.queue)
        .bind(job.priority)
        .bind(job.run_at)
        .bind(&job.unique.key)
        .bind(producer)
        .bind(key)
        .bind(&job.limit_key)
        .bind(job.max_attempts)
        .bind(job.parent)
        .bind(job.trace().map(|trace| trace.text()))
        .bind(job.deadline)
        .bind(job.unique.by_args)
        .bind(job.unique.period.map(milliseconds))
        .bind(job.unique.until_started)
        .bind(job.unique.replaces)
        .bind(job.unique.debounce.map(|(wait, _)| milliseconds(wait)))
        .bind(job.unique.debounce.map(|(_, at_most)| milliseconds(at_most)))
        .bind(job.delay.map(milliseconds))
        .fetch_one(connection);
    around("job/enqueue", enqueueing).await.map_err(refused)
}

/// Enqueues many jobs in the caller's transaction; `None` where a unique key was taken.
///
/// # Errors
/// [`StoreError::KeyedInBulk`] when one has an idempotency key; [`StoreError::Refused`] for a name or a number that is none; otherwise
/// the database's.
pub async fn enqueue_many(connection: &mut PgConnection, jobs: &[NewJob]) -> Result<Vec<Option<JobId>>, StoreError> {
    if let Some(index) = jobs.iter().position(|job| job.idempotency_key.is_some()) {
        return Err(StoreError::KeyedInBulk(index));
    }
    jobs.iter().try_for_each(NewJob::check)?;
    let mut ids = vec![None; jobs.len()];
    let (mut special, plain): (Vec<usize>, Vec<usize>) = (0..jobs.len()).partition(|index| jobs[*index].unique.is_special());
    let together: Vec<&NewJob> = plain.iter().map(|index| &jobs[*index]).collect();
    for (index, id) in plain.iter().zip(enqueue_together(connection, &together).await?) {
        ids[*index] = id;
    }
    // In one order for everybody, so that two batches wait for each other's keys and never deadlock.
    special.sort_by(|a, b| (&jobs[*a].kind, &jobs[*a].unique.key, a).cmp(&(&jobs[*b].kind, &jobs[*b].unique.key, b)));
    for index in special {
        let enqueued = enqueue(connection, &jobs[index]).await?;
        ids[index] = enqueued.created.then_some(enqueued.id);
    }
    Ok(ids)
}

async fn enqueue_together(connection: &mut PgConnection, jobs: &[&NewJob]) -> Result<Vec<Option<JobId>>, StoreError> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let lanes = lane::of_jobs(connection, jobs).await?;
    let args: Vec<Json<&RawValue>> = jobs.iter().map(|job| Json(&*job.args)).collect();
    let enqueueing = sqlx::query_as(sql!("job/enqueue_many"))
        .bind(lanes)
        .bind(jobs.iter().map(|job| job.kind.as_str()).collect::<Vec<_>>())
        .bind(args)
        .bind(jobs.iter().map(|job| job.run_at).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.unique.key.as_deref()).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.limit_key.as_deref()).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.max_attempts).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.deadline).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.unique.by_args).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.parent).collect::<Vec<_>>())
        .bind(traces(jobs))
        .bind(delays(jobs))
        .fetch_all(connection);
    let rows: Vec<(i64, Option<JobId>)> = around("job/enqueue_many", enqueueing).await.map_err(refused)?;
    Ok(rows.into_iter().map(|(_, id)| id).collect())
}

/// The trace of each; empty when none has any, which spares plain jobs the array.
fn traces(jobs: &[&NewJob]) -> Vec<Option<String>> {
    let traces: Vec<_> = jobs.iter().map(|job| job.trace().map(|trace| trace.text())).collect();
    if traces.iter().all(Option::is_none) { Vec::new() } else { traces }
}

/// How long each waits; empty when none does.
fn delays(jobs: &[&NewJob]) -> Vec<Option<i64>> {
    let delays: Vec<_> = jobs.iter().map(|job| job.delay.map(milliseconds)).collect();
    if delays.iter().all(Option::is_none) { Vec::new() } else { delays }
}

pub(super) fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn refused(error: sqlx::Error) -> StoreError {
    let refusal = error.as_database_error().and_then(|database| refusal(&database.code()?, database.message(), database.constraint()));
    refusal.unwrap_or_else(|| error.into())
}

/// What an SQLSTATE, the words beside it and the violated constraint say of a job that is not taken.
pub(super) fn refusal(code: &str, why: &str, violated: Option<&str>) -> Option<StoreError> {
    match code {
        "RW001" => Some(StoreError::KeyReused(why.to_string())),
        "RW020" => Some(StoreError::QueueFull(why.to_string())),
        _ if violated == Some("job_args_size") => Some(StoreError::ArgumentsTooLarge),
        "22023" => Some(StoreError::Refused(why.to_string())),
        _ => None,
    }
}

/// A job and where it stands.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Standing {
    /// The job.
    pub id: JobId,
    /// Its queue.
    pub queue: String,
    /// Its kind.
    pub kind: String,
    /// 0 runs first, 9 last.
    pub priority: i16,
    /// `ready`, `scheduled`, `waiting` (for a slot of its limit key), `parked`, `running`, `completed`, `cancelled` or
    /// `dead`; `missing` is a fault.
    pub state: String,
    /// The attempt that runs, comes next, or was the last.
    pub attempt: Option<i32>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When it runs, while it is scheduled; when it wakes at the latest, while it is parked.
    pub run_at: Option<DateTime<Utc>>,
    /// The worker that runs it, while one does.
    #[serde(serialize_with = "as_text")]
    pub worker_id: Option<i64>,
    /// Since when.
    pub claimed_at: Option<DateTime<Utc>>,
    /// When its last attempt ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// The error category of its last attempt, if that failed.
    pub category: Option<String>,
    /// The error of its last attempt.
    pub error: Option<String>,
}

/// One job in full.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Shown {
    /// Where it stands.
    #[sqlx(flatten)]
    #[serde(flatten)]
    pub standing: Standing,
    /// Its arguments.
    pub args: Json<Box<RawValue>>,
    /// What its last attempt returned.
    pub output: Option<Json<Box<RawValue>>>,
    /// The key of which only one job lives.
    pub unique_key: Option<String>,
    /// The key whose limit it counts against.
    pub limit_key: Option<String>,
    /// No attempt begins after this time.
    pub deadline: Option<DateTime<Utc>>,
    /// The job on whose behalf it was made.
    pub parent_id: Option<JobId>,
    /// The dead letter that it was made from.
    pub requeued_from: Option<Uuid>,
    /// How far it is, by its own word.
    #[sqlx(skip)]
    pub progress: Option<Progress>,
    /// The last lines of its own log.
    #[sqlx(skip)]
    pub log: Vec<LogLine>,
    /// Its attempts that have ended.
    #[sqlx(skip)]
    pub attempts: Vec<Attempt>,
}

/// One attempt that has ended.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Attempt {
    /// Its number, from 1.
    pub attempt: i32,
    /// How it ended.
    pub outcome: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// The worker that ran it.
    #[serde(serialize_with = "as_text")]
    pub worker_id: Option<i64>,
    /// The error category, if it failed.
    pub category: Option<String>,
    /// The error, if it failed.
    pub error: Option<String>,
    /// The version of the retry policy that decided what followed.
    pub policy_version: Option<i32>,
    /// What it returned.
    pub output: Option<Json<Box<RawValue>>>,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those in this state: `ready`, `scheduled`, `waiting`, `parked`, `running`, `completed`, `cancelled`, `dead`.
    pub state: Option<String>,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only of this queue.
    pub queue: Option<String>,
}

/// Jobs, newest first, at most `limit`.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool, filter: &Filter, limit: i64) -> Result<Vec<Standing>, sqlx::Error> {
    let mut tx = look::begin(pool).await?;
    sqlx::query_as(sql!("job/list")).bind(&filter.state).bind(&filter.kind).bind(&filter.queue).bind(limit).fetch_all(&mut *tx).await
}

/// One job with all its attempts that have ended.
///
/// # Errors
/// [`StoreError::NoSuchJob`]; otherwise the database's.
pub async fn show(pool: &PgPool, id: JobId) -> Result<Shown, StoreError> {
    let shown: Option<Shown> = sqlx::query_as(sql!("job/show")).bind(id).fetch_optional(pool).await?;
    let mut shown = shown.ok_or(StoreError::NoSuchJob(id))?;
    shown.progress = note::show(pool, id).await?;
    shown.log = note::tail(pool, id).await?;
    shown.attempts = sqlx::query_as(sql!("attempt/list")).bind(id).fetch_all(pool).await?;
    Ok(shown)
}

/// An id as JSON shows it.
#[expect(clippy::ref_option, reason = "the signature is serde's")]
fn as_text<S: Serializer>(id: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}
