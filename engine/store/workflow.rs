//! Workflows for people: where each stands, what it did, and running one again.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{PgPool, types::Json};

use super::{StoreError, job, look, sql};
use crate::JobId;

/// Where a workflow stands.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Standing {
    /// The job.
    pub job_id: JobId,
    /// Its queue.
    pub queue: String,
    /// Its kind.
    pub kind: String,
    /// As a job's: `ready`, `scheduled`, `parked`, `running`, `completed`, `cancelled`, `dead`.
    pub state: String,
    /// The attempt that runs, comes next, or was the last.
    pub attempt: Option<i32>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When it runs again at the latest, while it sleeps or waits.
    pub wakes_at: Option<DateTime<Utc>>,
    /// When its last attempt ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// The error category of its last attempt, if that failed.
    pub category: Option<String>,
    /// The error of its last attempt.
    pub error: Option<String>,
    /// How many acts are kept of it.
    pub steps: i32,
    /// The kind of the last one.
    pub last_act: String,
    /// Its name.
    pub last_name: String,
    /// What it is parked for: `event` or `children`.
    pub waits_for: Option<String>,
    /// The name of the event that it waits for.
    pub event: Option<String>,
    /// The key of that event.
    pub event_key: Option<String>,
    /// Children that have not ended.
    pub children_open: i32,
    /// Children that have.
    pub children_ended: i32,
    /// Jobs that would undo what it did.
    pub compensations: i32,
    /// Those of them that did.
    pub undone: i32,
    /// The workflow whose first steps it took over.
    pub restarted_from: Option<JobId>,
}

/// One act of a workflow.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Act {
    /// Its place, from 1.
    pub position: i32,
    /// What it is: `step`, `sleep`, `wait` and so on.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The attempt that began it; 0 when it was taken over.
    pub attempt: i32,
    /// When it began.
    pub begun_at: DateTime<Utc>,
    /// When it ended, if it has.
    pub ended_at: Option<DateTime<Utc>>,
    /// When a sleep ends, or a wait gives up.
    pub until: Option<DateTime<Utc>>,
    /// The correlation key of a wait.
    pub key: Option<String>,
    /// The event that a wait received.
    #[serde(skip)]
    pub event_id: Option<i64>,
    /// What it returned.
    pub result: Option<Json<Box<RawValue>>>,
    /// The children that it made and that have not ended.
    pub children_open: i32,
    /// Those that have.
    pub children_ended: i32,
    /// The kind of the job that undoes it.
    pub undone_by_kind: Option<String>,
    /// When that was done.
    pub undone_at: Option<DateTime<Utc>>,
}

/// A workflow in full.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// Where it stands.
    #[serde(flatten)]
    pub standing: Standing,
    /// What it did, in order.
    pub timeline: Vec<Act>,
}

/// The newest workflows, at most `limit`, in a state and of a kind where these are given.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool, state: Option<&str>, kind: Option<&str>, limit: i64) -> Result<Vec<Standing>, sqlx::Error> {
    let mut tx = look::begin(pool).await?;
    sqlx::query_as(sql!("workflow/list")).bind(state).bind(kind).bind(limit).fetch_all(&mut *tx).await
}

/// One workflow with all it did.
///
/// # Errors
/// [`StoreError::NoSuchWorkflow`] also for a job that is none; otherwise the database's.
pub async fn show(pool: &PgPool, id: JobId) -> Result<Shown, StoreError> {
    let mut tx = look::begin(pool).await?;
    let standing: Option<Standing> = sqlx::query_as(sql!("workflow/show")).bind(id).fetch_optional(&mut *tx).await?;
    let standing = standing.ok_or(StoreError::NoSuchWorkflow(id))?;
    let timeline = sqlx::query_as(sql!("workflow/timeline")).bind(id).fetch_all(&mut *tx).await?;
    Ok(Shown { standing, timeline })
}

/// A workflow that runs again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Restarted {
    /// The new job.
    pub job_id: JobId,
    /// The old one.
    pub restarted_from: JobId,
    /// From which step: an earlier one than was asked for, where a child of it was stopped.
    pub from_step: i32,
}

/// Runs a workflow that has ended again, as a new job that takes over what it did before step `from`; 1 begins anew. The
/// old one stays as it is. A child that was stopped with it has no end to take over: then it runs again from there.
///
/// # Errors
/// [`StoreError::NoSuchWorkflow`]; [`StoreError::NoRestart`] when it has not ended, did not come so far, or was undone;
/// [`StoreError::QueueFull`]; otherwise the database's.
pub async fn restart(pool: &PgPool, id: JobId, from: i32, by: &str) -> Result<Restarted, StoreError> {
    let mut tx = pool.begin().await?;
    let restarted: Result<JobId, _> = sqlx::query_scalar(sql!("workflow/restart")).bind(id).bind(from).bind(by).fetch_one(&mut *tx).await;
    let fresh = restarted.map_err(|error| {
        let refusal = error.as_database_error().and_then(|database| Some((database.code()?.into_owned(), database.message().to_string())));
        match refusal {
            Some((code, _)) if code == "RW024" => StoreError::NoSuchWorkflow(id),
            Some((code, why)) if matches!(code.as_str(), "RW012" | "RW021" | "RW022" | "RW023") => StoreError::NoRestart(why),
            _ => job::refused(error),
        }
    })?;
    let restarted = sqlx::query_as(sql!("workflow/restarted")).bind(fresh).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(restarted)
}
