//! Tell customer and people of a scan that they should hear of.
//!
//! scan -> mail in the outbox, case in exceptions_queue, alert, in the commit of this job's completion
//!
//! Started by  a row of raw_ops.courier_events that its mapping or its word marks
//! Unique by   scan; the same code again on one day makes no second mail, and no second case while one is open
//!
//! A scan that comes after its parcel has arrived is told to nobody, one that comes days late to no customer.

use engine::{Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// Does what follows from the scan of this row.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct HandleException {
    /// The row, in `raw_ops.courier_events`.
    pub event_id: Uuid,
}

impl Job for HandleException {
    const KIND: &'static str = "couriers.handle_exception";
    const QUEUE: &'static str = "couriers";

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        let (outcome, is_mailed, is_case): (String, bool, bool) =
            sqlx::query_as("select outcome, is_mailed, is_case from raw_ops.handle_courier_event($1)")
                .bind(self.event_id)
                .fetch_one(&mut *tx)
                .await?;
        run.complete_in(tx, json!({ "outcome": outcome, "mailed": is_mailed, "case": is_case })).await
    }
}
