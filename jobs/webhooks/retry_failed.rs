//! Try again webhooks that failed for a reason that passes, and those that never got a job.
//!
//! rows of the inboxes that are quiet for five minutes -> jobs
//!
//! Started by  schedules, every five minutes, as `retry-failed-webhooks`; the HTTP function of that name does the same at once
//! Unique by   schedule
//!
//! What the policy never tries again is left to a person.

use engine::{Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Rows of one run, of each inbox.
const BATCH: i32 = 500;

/// Looks once.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
pub struct RetryFailed {}

impl Job for RetryFailed {
    const KIND: &'static str = "webhooks.retry_failed";
    const QUEUE: &'static str = "webhooks";
    const PRIORITY: i16 = 3;

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        let retried: i64 =
            sqlx::query_scalar("select count(*) from raw_ops.retry_failed_webhooks($1)").bind(BATCH).fetch_one(&mut *tx).await?;
        run.complete_in(tx, json!({ "retried": retried })).await
    }
}
