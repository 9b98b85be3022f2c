//! The schema of `engine::store::job::Shown`, which is what `GET /v1/jobs/{id}` answers.
//!
//! The engine makes no schemas, so its members stand here a second time; the tests hold real answers to them, member by member.

#![expect(dead_code, reason = "only their schemas are used")]

use schemars::JsonSchema;
use serde_json::Value;
use uuid::Uuid;

/// A job and where it stands.
#[derive(JsonSchema)]
pub(super) struct ShownJob {
    /// The job.
    id: String,
    /// Its queue.
    queue: String,
    /// Its kind.
    kind: String,
    /// 0 runs first, 9 last.
    priority: i16,
    /// ready, scheduled, waiting (for a slot of its limit key), parked, running, completed, cancelled or dead; missing is a fault.
    state: String,
    /// The attempt that runs, comes next, or was the last.
    attempt: Option<i32>,
    /// When it was enqueued.
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// When it runs, while it is scheduled; when it wakes at the latest, while it is parked.
    #[schemars(extend("format" = "date-time"))]
    run_at: Option<String>,
    /// The worker that runs it, while one does.
    worker_id: Option<String>,
    /// Since when.
    #[schemars(extend("format" = "date-time"))]
    claimed_at: Option<String>,
    /// When its last attempt ended.
    #[schemars(extend("format" = "date-time"))]
    finished_at: Option<String>,
    /// The error category of its last attempt, if that failed.
    category: Option<String>,
    /// The error of its last attempt.
    error: Option<String>,
    /// Its arguments.
    args: Value,
    /// What its last attempt returned.
    output: Value,
    /// The key of which only one job lives.
    unique_key: Option<String>,
    /// The key whose limit it counts against.
    limit_key: Option<String>,
    /// No attempt begins after this time.
    #[schemars(extend("format" = "date-time"))]
    deadline: Option<String>,
    /// The job on whose behalf it was made.
    parent_id: Option<String>,
    /// The dead letter that it was made from.
    requeued_from: Option<Uuid>,
    /// How far it is, by its own word.
    progress: Option<Progress>,
    /// The last lines of its own log.
    log: Vec<LogLine>,
    /// Its attempts that have ended.
    attempts: Vec<ShownAttempt>,
}

/// How far a job is, by its own word.
#[derive(JsonSchema)]
struct Progress {
    /// The attempt that said it.
    attempt: i32,
    /// What is done, in whatever the job counts.
    done: i64,
    /// What there is to do, if the job knows.
    total: Option<i64>,
    /// In words.
    note: Option<String>,
    /// When it was said.
    #[schemars(extend("format" = "date-time"))]
    updated_at: String,
}

/// One line of a job's log.
#[derive(JsonSchema)]
struct LogLine {
    /// The attempt that logged it.
    attempt: i32,
    /// When.
    #[schemars(extend("format" = "date-time"))]
    logged_at: String,
    /// What.
    line: String,
}

/// One attempt that has ended.
#[derive(JsonSchema)]
struct ShownAttempt {
    /// Its number, from 1.
    attempt: i32,
    /// How it ended.
    outcome: String,
    /// When it began.
    #[schemars(extend("format" = "date-time"))]
    started_at: String,
    /// When it ended.
    #[schemars(extend("format" = "date-time"))]
    finished_at: String,
    /// The worker that ran it.
    worker_id: Option<String>,
    /// The error category, if it failed.
    category: Option<String>,
    /// The error, if it failed.
    error: Option<String>,
    /// The version of the retry policy that decided what followed.
    policy_version: Option<i32>,
    /// What it returned.
    output: Value,
}
