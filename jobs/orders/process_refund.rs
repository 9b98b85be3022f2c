//! Write down one refund that Shopify tells of.
//!
//! inbox row -> refund; stock of what is not sent any more given back
//!
//! Started by  web/webhooks/shopify.rs, for `refunds/create`
//! Unique by   inbox row; a refund that is told twice is written once
//! Rejected    when the document is no refund: category `validation`
//!
//! The order may come later than its refund: until then it fails as `not_ready`, which the policy tries again. The refund,
//! the stock, the mark on the inbox row and this job's completion are one commit.

use engine::{Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::shopify_refund::ShopifyRefund;
use crate::webhooks::inbox::{Inbox, Writing};

/// Writes the refund document that lies in `raw_ops.webhook_inbox` under this id.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct ProcessRefund {
    /// The row of the inbox.
    pub inbox_id: Uuid,
}

impl Job for ProcessRefund {
    const KIND: &'static str = "orders.process_refund";
    const QUEUE: &'static str = "orders";

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let writing = Writing {
            inbox: Inbox::Webhooks,
            parse: ShopifyRefund::parse,
            statement: "select order_id, outcome from raw_ops.process_refund_webhook_txn($1)",
            subject: "order_id",
            waits_for: |refund| format!("order {} of this refund has not arrived", refund.order_id.0),
        };
        writing.write_down(run, self.inbox_id).await
    }
}
