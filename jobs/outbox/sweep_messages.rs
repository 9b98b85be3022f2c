//! Look for mails and events that ask for work and have no job, and for mails whose job has gone.
//!
//! rows without a job -> jobs; mails left on their way -> unknown; mails unknown for long -> a warning
//!
//! Started by  schedules, every minute, as `process-email-outbox`
//! Unique by   schedule
//!
//! A row's own trigger makes its job, so there is little to find: rows that were filled in while rows became no jobs, and
//! rows whose job somebody cancelled. To call a mail off, set its row to `cancelled`, not its job.

use engine::{Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Rows of one sweep.
const BATCH: i32 = 500;

/// Sweeps once.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
pub struct SweepMessages {}

impl Job for SweepMessages {
    const KIND: &'static str = "outbox.sweep_messages";
    const QUEUE: &'static str = "outbox";
    const PRIORITY: i16 = 3;

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        let (started, parked, refused): (i32, i32, i32) =
            sqlx::query_as("select started, parked, refused from raw_ops.sweep_messages($1)").bind(BATCH).fetch_one(&mut *tx).await?;
        let unknown: i64 = sqlx::query_scalar("select raw_ops.warn_of_unknown_messages()").fetch_one(&mut *tx).await?;
        run.complete_in(tx, json!({ "started": started, "parked": parked, "refused": refused, "unknown": unknown })).await
    }
}
