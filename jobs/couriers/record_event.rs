//! Write down one scan of a parcel, and move the parcel forward.
//!
//! inbox row -> scan, parcel, order
//!
//! Started by  web/webhooks/courier.rs
//! Unique by   inbox row; scans may come twice, late and in any order
//! Rejected    when the document is no scan: category `validation`
//!
//! The parcel may be known later than its first scan: until then it fails as `not_ready`, which the policy tries again.

use engine::{Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::tracking_event::TrackingEvent;
use crate::webhooks::inbox::{Inbox, Writing};

/// Writes the scan that lies in `raw_ops.webhook_inbox` under this id.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct RecordEvent {
    /// The row of the inbox.
    pub inbox_id: Uuid,
}

impl Job for RecordEvent {
    const KIND: &'static str = "couriers.record_event";
    const QUEUE: &'static str = "couriers";

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let writing = Writing {
            inbox: Inbox::Webhooks,
            parse: TrackingEvent::parse,
            statement: "select shipment_id, outcome from raw_ops.process_courier_event_txn($1)",
            subject: "shipment_id",
            waits_for: |event| format!("no parcel has the number {}", event.tracking_no),
        };
        writing.write_down(run, self.inbox_id).await
    }
}
