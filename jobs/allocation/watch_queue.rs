//! Say when orders wait for stock too long, or too many of them.
//!
//! open requests -> figures -> beyond the limits of raw_ops.allocation_alert_config: an alert, and a row of its history
//!
//! Started by  schedules, every five minutes
//! Unique by   schedule

use engine::{Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Looks once.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
pub struct WatchQueue {}

impl Job for WatchQueue {
    const KIND: &'static str = "allocation.watch_queue";
    const QUEUE: &'static str = "allocation";
    const PRIORITY: i16 = 6;

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        let open: i32 = sqlx::query_scalar("select raw_ops.watch_allocation_queue()").fetch_one(&mut *tx).await?;
        run.complete_in(tx, json!({ "open_alerts": open })).await
    }
}
