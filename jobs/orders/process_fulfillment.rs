//! Write down what Shopify says was sent.
//!
//! inbox row -> units sent of each line; number and place of the parcel
//!
//! Started by  web/webhooks/shopify.rs, for `fulfillments/create` and `fulfillments/update`
//! Unique by   inbox row; documents of one fulfilment may come twice, late and in any order
//! Rejected    when the document is no fulfilment: category `validation`
//!
//! The order may come later than its fulfilment: until then it fails as `not_ready`, which the policy tries again.

use engine::{Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::shopify_refund::ShopifyFulfillment;
use crate::webhooks::inbox::{Inbox, Writing};

/// Writes the fulfilment document that lies in `raw_ops.webhook_inbox` under this id.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct ProcessFulfillment {
    /// The row of the inbox.
    pub inbox_id: Uuid,
}

impl Job for ProcessFulfillment {
    const KIND: &'static str = "orders.process_fulfillment";
    const QUEUE: &'static str = "orders";

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let writing = Writing {
            inbox: Inbox::Webhooks,
            parse: ShopifyFulfillment::parse,
            statement: "select order_id, outcome from raw_ops.process_fulfillment_webhook_txn($1)",
            subject: "order_id",
            waits_for: |fulfillment| format!("order {} of this fulfilment has not arrived", fulfillment.order_id.0),
        };
        writing.write_down(run, self.inbox_id).await
    }
}
