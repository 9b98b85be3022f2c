//! What undoes the steps of workflows.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::{PgConnection, PgPool, types::Json};

use super::sql;
use crate::{JobId, NewJob, failpoint::around};

/// A job that undoes something.
#[derive(Debug, Clone, Serialize, Deserialize, sqlx::FromRow)]
pub struct Compensation {
    /// The step that did it.
    pub position: i32,
    /// Its number among those of the step, from 1.
    pub n: i32,
    /// The queue of the job.
    pub queue: String,
    /// Its kind.
    pub kind: String,
    /// Its priority.
    pub priority: i16,
    /// Its arguments as JSON.
    pub args: String,
    /// A cap on its attempts.
    pub max_attempts: Option<i16>,
    /// The key whose limit it counts against.
    #[serde(default)]
    pub limit_key: Option<String>,
}

impl Compensation {
    /// The job to enqueue.
    ///
    /// # Errors
    /// When the stored arguments are no JSON, which PostgreSQL rules out.
    pub fn job(&self) -> Result<NewJob, serde_json::Error> {
        let mut job = NewJob::raw(&self.kind, RawValue::from_string(self.args.clone())?).queue(&self.queue).priority(self.priority);
        (job.max_attempts, job.limit_key) = (self.max_attempts, self.limit_key.clone());
        Ok(job)
    }
}

/// Takes note of what undoes a step of a workflow.
///
/// # Errors
/// The database's.
pub async fn add(connection: &mut PgConnection, workflow: JobId, position: i32, n: i32, job: &NewJob) -> Result<(), sqlx::Error> {
    let statement = sqlx::query(sql!("compensation/add")).bind(workflow).bind(position).bind(n).bind(&job.queue).bind(&job.kind);
    let statement = statement.bind(job.priority).bind(Json(&job.args)).bind(job.max_attempts).bind(&job.limit_key);
    around("compensation/add", statement.execute(connection)).await.map(drop)
}

/// What undoes the steps of a workflow and has not been done, the last one first.
///
/// # Errors
/// The database's.
pub async fn open(connection: &mut PgConnection, workflow: JobId) -> Result<Vec<Compensation>, sqlx::Error> {
    sqlx::query_as(sql!("compensation/open")).bind(workflow).fetch_all(connection).await
}

/// All that undoes the steps of a workflow, done or not.
///
/// # Errors
/// The database's.
pub async fn all(pool: &PgPool, workflow: JobId) -> Result<Vec<Compensation>, sqlx::Error> {
    sqlx::query_as(sql!("compensation/all")).bind(workflow).fetch_all(pool).await
}

/// Takes note that a job undid one.
///
/// # Errors
/// The database's.
pub async fn done(connection: &mut PgConnection, workflow: JobId, undone: &Compensation, by: JobId) -> Result<(), sqlx::Error> {
    let statement = sqlx::query(sql!("compensation/done")).bind(workflow).bind(undone.position).bind(undone.n).bind(by);
    around("compensation/done", statement.execute(connection)).await.map(drop)
}
