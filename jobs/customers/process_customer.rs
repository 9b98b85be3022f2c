//! Write down one customer as Shopify's own document says.
//!
//! inbox row -> customer
//!
//! Started by  web/webhooks/shopify.rs, for `customers/create` and `customers/update`
//! Unique by   inbox row; documents of one customer may come twice, late and in any order, and the newest wins
//! Rejected    when the document is no customer: category `validation`

use engine::{Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::orders::shopify_customer::ShopifyCustomer;
use crate::webhooks::inbox::{Inbox, Writing};

/// Writes the customer document that lies in `raw_ops.webhook_inbox` under this id.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct ProcessCustomer {
    /// The row of the inbox.
    pub inbox_id: Uuid,
}

impl Job for ProcessCustomer {
    const KIND: &'static str = "customers.process_customer";
    const QUEUE: &'static str = "customers";

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let writing = Writing {
            inbox: Inbox::Webhooks,
            parse: ShopifyCustomer::parse,
            statement: "select customer_id, outcome from raw_ops.process_customer_webhook_txn($1)",
            subject: "customer_id",
            waits_for: |_| "nothing was written".into(),
        };
        writing.write_down(run, self.inbox_id).await
    }
}
