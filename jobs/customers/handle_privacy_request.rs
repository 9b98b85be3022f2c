//! Write down what a customer asks by law, and tell people.
//!
//! inbox row -> request with its date, alert, reminder
//!
//! Started by  web/webhooks/shopify.rs, for `customers/data_request`, `customers/redact` and `shop/redact`
//! Unique by   inbox row
//! Rejected    when the body is no document: category `validation`
//!
//! Nothing is erased here: what an invoice needs is kept by law, so a person decides.

use engine::{Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::webhooks::inbox::Inbox;

/// Handles the request that lies in `raw_ops.webhook_inbox` under this id.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct HandlePrivacyRequest {
    /// The row of the inbox.
    pub inbox_id: Uuid,
}

impl Job for HandlePrivacyRequest {
    const KIND: &'static str = "customers.handle_privacy_request";
    const QUEUE: &'static str = "customers";

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        Inbox::Webhooks.read(&mut tx, self.inbox_id).await?;
        let request_id: Uuid =
            sqlx::query_scalar("select raw_ops.process_privacy_webhook_txn($1)").bind(self.inbox_id).fetch_one(&mut *tx).await?;
        run.complete_in(tx, json!({ "request_id": request_id })).await
    }
}
