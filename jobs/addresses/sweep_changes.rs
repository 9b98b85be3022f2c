//! Look for changes of address that are to be told and have no job.
//!
//! rows without a job -> jobs
//!
//! Started by  schedules, every five minutes, as `sweep-address-changes`
//! Unique by   schedule
//!
//! A row's own triggers make its jobs, so there is little to find: rows whose job somebody cancelled, or whose job is gone. To call
//! a change off, an operator calls `raw_ops.call_off_address_change`; a job that is cancelled comes again. Rows that are refused are an
//! alert.

use engine::{Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Rows of one sweep.
const BATCH: i32 = 500;

/// Sweeps once.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
pub struct SweepChanges {}

impl Job for SweepChanges {
    const KIND: &'static str = "addresses.sweep_changes";
    const QUEUE: &'static str = "addresses";
    const PRIORITY: i16 = 3;

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        let (started, refused): (i32, i32) =
            sqlx::query_as("select started, refused from raw_ops.sweep_address_changes($1)").bind(BATCH).fetch_one(&mut *tx).await?;
        run.complete_in(tx, json!({ "started": started, "refused": refused })).await
    }
}
