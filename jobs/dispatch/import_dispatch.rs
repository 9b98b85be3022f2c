//! Make a parcel of what the packer says has left.
//!
//! row -> parcel, order, stock; or of an order that was stopped and not sent: its end, and its stock back
//!
//! Started by  a row of raw_ops.dispatch_import_queue that is pending
//! Unique by   row, while a job for it lives; a parcel by its order and number
//! Rejected    when no order has the name: category `business_rule`; when what the row says cannot be: `validation`
//! Retried     as `not_ready`, when it was not sent, until Shopify's end of it is here and it is known that the packer has its file
//!
//! A dead letter's trigger `mark_dispatch_failed` says so on the row, where it waits for a person. Stock leaves by the trigger of
//! shipments, whose ledger lets an allocation leave once.

use engine::{Failure, Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// Imports this row.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct ImportDispatch {
    /// The row, in `raw_ops.dispatch_import_queue`.
    pub row_id: Uuid,
}

impl Job for ImportDispatch {
    const KIND: &'static str = "dispatch.import_dispatch";
    const QUEUE: &'static str = "dispatch";

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        let (shipment_id, outcome): (Option<Uuid>, String) =
            sqlx::query_as("select shipment_id, outcome from raw_ops.process_dispatch_txn($1)")
                .bind(self.row_id)
                .fetch_one(&mut *tx)
                .await
                .map_err(too_early)?;
        if outcome == "unmatched" {
            return Err(Failure::business_rule("no order has this name at the packer"));
        }
        run.complete_in(tx, json!({ "shipment_id": shipment_id, "outcome": outcome })).await
    }
}

/// A row may be here before what it needs; that is no fault of it.
fn too_early(error: sqlx::Error) -> Failure {
    match error.as_database_error() {
        Some(said) if said.code().as_deref() == Some("RW060") => Failure::not_ready(said.message()),
        _ => error.into(),
    }
}
