//! What the database has of each thing when a run has ended.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    canaries::Search,
    program::{DEBOUNCED, Manner, Played, REPLACED},
};

/// A job as the database has it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Job {
    /// Its id.
    pub id: i64,
    /// Its kind.
    pub kind: String,
    /// Its arguments.
    pub args: Value,
    /// Its unique key.
    pub unique_key: Option<String>,
    /// Its limit key.
    pub limit_key: Option<String>,
    /// 0 runs first, 9 last.
    pub priority: i16,
    /// The job on whose behalf it was made.
    pub parent_id: Option<i64>,
    /// The letter it was made from.
    pub requeued_from: Option<Uuid>,
    /// When it is of no use any more.
    pub deadline: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl Job {
    /// Whether it waits for the jobs of a batch.
    pub fn is_batch(&self) -> bool {
        self.kind == "engine.batch"
    }

    /// The name of its program, if it plays one.
    pub fn key(&self) -> Option<&str> {
        Played::is_of(&self.kind).then(|| self.args.get("key").and_then(Value::as_str)).flatten()
    }
}

/// Every attempt, in whatever order is said behind it.
macro_rules! attempts {
    ($order:literal) => {
        concat!(
            "select job_id, attempt, worker_id, started_at, finished_at, outcome, category, error, output, policy_version
             from engine.attempt order by ",
            $order
        )
    };
}
pub(crate) use attempts;

/// An attempt as the ledger of the engine has it.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Attempt {
    /// The job.
    pub job_id: i64,
    /// Its number.
    pub attempt: i32,
    /// Who ran it.
    pub worker_id: Option<i64>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// How.
    pub outcome: String,
    /// The error category.
    pub category: Option<String>,
    /// The error.
    pub error: Option<String>,
    /// The output.
    pub output: Option<Value>,
    /// The version of the policy that decided about a failure.
    pub policy_version: Option<i32>,
}

/// A version of a row of the retry policy.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Version {
    /// The error category.
    pub category: String,
    /// The kind, for an override.
    pub kind: Option<String>,
    /// The version.
    pub version: i32,
    /// `found`, `made`, `edited` or `removed`.
    pub what: String,
    /// The row from then on; of a removed one, as it was before.
    pub row: Value,
    /// Since when.
    pub changed_at: DateTime<Utc>,
}

impl Job {
    /// What becomes of it when another of its unique key comes; one that was made from a letter has the letter's key.
    pub fn manner(&self) -> Manner {
        match self.unique_key.as_deref().and_then(|key| key.split_once('-')) {
            Some((REPLACED, _)) => Manner::Replaces,
            Some((DEBOUNCED, _)) => Manner::Debounces,
            _ => Manner::Yields,
        }
    }
}

impl Attempt {
    /// Whether the job ended with it.
    pub fn is_last(&self) -> bool {
        matches!(self.outcome.as_str(), "completed" | "cancelled" | "dead")
    }

    /// Whether it counts for nothing: the job is where it was before.
    pub fn is_void(&self) -> bool {
        matches!(self.outcome.as_str(), "lost" | "released")
    }
}

/// A dead letter.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Letter {
    /// Its id.
    pub id: Uuid,
    /// The job that died.
    pub job_id: Option<i64>,
    /// The category that decided.
    pub category: Option<String>,
    /// The last error.
    pub error_message: Option<String>,
    /// The arguments.
    pub payload: Value,
    /// Whether it was dealt with.
    pub resolved: bool,
    /// By whom.
    pub resolved_by: Option<String>,
    /// How.
    pub resolution: Option<String>,
    /// The job in its place.
    pub requeued_job_id: Option<i64>,
}

impl Letter {
    /// Whether it was dealt with by a restart of its workflow.
    pub fn is_of_restart(&self) -> bool {
        self.resolution.as_deref().is_some_and(|words| words.starts_with("restarted from step "))
    }
}

/// What somebody is to be told of an attempt.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Notice {
    /// The job.
    pub job_id: i64,
    /// The attempt.
    pub attempt: i32,
    /// The category that decided.
    pub category: Option<String>,
}

/// A row that a program wrote.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Effect {
    /// The program.
    pub program: String,
    /// The act.
    pub act: i32,
    /// The job.
    pub job_id: i64,
    /// The attempt.
    pub attempt: i32,
    /// Whether it was committed with the job's completion.
    pub last: bool,
    /// When it was written.
    pub at: DateTime<Utc>,
}

/// A time that a schedule came.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Occurrence {
    /// The schedule.
    pub schedule: String,
    /// When.
    pub occurrence: DateTime<Utc>,
    /// When it was dealt with.
    pub fired_at: DateTime<Utc>,
    /// Its job.
    pub job_id: Option<i64>,
    /// How it was dealt with.
    pub how: String,
    /// What is worth knowing; why it was run by hand.
    pub note: Option<String>,
}

/// A worker's life.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Worker {
    /// Its id.
    pub id: i64,
    /// Its process.
    pub pid: Option<i64>,
    /// When it was declared dead.
    pub dead_at: Option<DateTime<Utc>>,
    /// Until when it had its lease then.
    pub lease_until: DateTime<Utc>,
}

/// A webhook in the inbox.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Hook {
    /// Its row.
    pub id: Uuid,
    /// The sender's id of it.
    pub webhook_id: String,
    /// Its bytes.
    pub raw_body: Vec<u8>,
    /// What became of it.
    pub processing_status: String,
}

/// An order as the product has it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Order {
    /// The shop's id of it.
    pub id: i64,
    /// The version that is stored.
    pub updated_at: DateTime<Utc>,
}

/// A mail in the outbox.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Outgoing {
    /// Its row.
    pub id: Uuid,
    /// What became of it.
    pub state: String,
}

/// What a run's end said that no row can: what was stuck, what did not answer.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Jobs that had not ended when patience did, one line a place.
    pub stuck: Vec<String>,
    /// Processes that did not answer after everything was healed.
    pub silent: Vec<String>,
    /// What was left over after every process had ended.
    pub left_over: Vec<String>,
    /// Facts that were seen during the run and had changed at its end.
    pub revised: Vec<String>,
    /// How many ended attempts were seen during the run.
    pub seen: usize,
    /// What the doctor found.
    pub doctor: Vec<String>,
    /// What `/metrics` of each web process showed.
    pub figures: Vec<String>,
    /// What the search for canaries came to.
    pub canaries: Search,
    /// When the run began and when schedules were stopped, by the database's clock.
    pub cron: Option<(DateTime<Utc>, DateTime<Utc>)>,
}
