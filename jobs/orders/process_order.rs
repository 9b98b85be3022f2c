//! Write down one Shopify order.
//!
//! inbox row -> customer, order, lines -> allocation request
//!
//! Started by  web/webhooks/shopify.rs, for every topic that starts with `orders/`
//! Unique by   inbox row; documents of one order may come twice, late and in any order
//! Rejected    when the document is no order: category `validation`, the message says what is wrong and where
//!
//! The order, its allocation request, the mark on the inbox row and this job's completion are one commit. When the job
//! dies, the trigger `mark_webhook_failed` says so on the inbox row.

use engine::{Failure, Job, JobResult, Run, Tx};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::shopify_order::ShopifyOrder;
use crate::webhooks::inbox::Inbox;

/// Writes the order document that lies in `raw_ops.webhook_inbox` under this id.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct ProcessOrder {
    /// The row of the inbox.
    pub inbox_id: Uuid,
}

impl Job for ProcessOrder {
    const KIND: &'static str = "orders.process_order";
    const QUEUE: &'static str = "orders";

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        self.check(&mut tx).await?;
        let (order_id, outcome) = self.save(&mut tx).await?;
        run.complete_in(tx, json!({ "order_id": order_id, "outcome": outcome })).await
    }
}

impl ProcessOrder {
    /// Refuses what is no order in words that the SQL function cannot give.
    async fn check(&self, tx: &mut Tx) -> JobResult<()> {
        let webhook = Inbox::Webhooks.read(tx, self.inbox_id).await?;
        ShopifyOrder::parse(&webhook.topic, &webhook.document).map_err(|refusal| Failure::validation(refusal.to_string()))?;
        Ok(())
    }

    async fn save(&self, tx: &mut Tx) -> JobResult<(Uuid, String)> {
        let saved = sqlx::query_as("select order_id, outcome from raw_ops.process_order_webhook_txn($1)")
            .bind(self.inbox_id)
            .fetch_one(&mut **tx)
            .await?;
        Ok(saved)
    }
}
