//! Make a subscription true from one webhook of Seal.
//!
//! inbox row -> customer, subscription, billing attempts, what happened
//!
//! Started by  web/webhooks/seal.rs, for every topic that carries a subscription
//! Unique by   inbox row; webhooks of one subscription may come twice, late and in any order
//! Rejected    when the document is no subscription: category `validation`, the message says what is wrong and where
//!
//! All of it, the mark on the inbox row and this job's completion are one commit. When the job dies, the trigger
//! `mark_seal_webhook_failed` says so on the inbox row.

use engine::{Failure, Job, JobResult, Run, Tx};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::seal_subscription::SealSubscription;

/// Takes the webhook that lies in `raw_ops.seal_webhook_inbox` under this id.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct ProcessEvent {
    /// The row of the inbox.
    pub inbox_id: Uuid,
}

impl Job for ProcessEvent {
    const KIND: &'static str = "subscriptions.process_event";
    const QUEUE: &'static str = "subscriptions";

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        self.check(&mut tx).await?;
        let (subscription_id, outcome): (Uuid, String) =
            sqlx::query_as("select subscription_id, outcome from raw_ops.process_seal_webhook_txn($1)")
                .bind(self.inbox_id)
                .fetch_one(&mut *tx)
                .await?;
        run.complete_in(tx, json!({ "subscription_id": subscription_id, "outcome": outcome })).await
    }
}

impl ProcessEvent {
    /// Refuses what is no subscription in words that the SQL function cannot give.
    async fn check(&self, tx: &mut Tx) -> JobResult<()> {
        let found: Option<(String, Option<String>)> =
            sqlx::query_as("select payload::text, last_error from raw_ops.seal_webhook_inbox where id = $1")
                .bind(self.inbox_id)
                .fetch_optional(&mut **tx)
                .await?;
        let (payload, unfit) =
            found.ok_or_else(|| Failure::validation(format!("webhook {} is not in the inbox of Seal", self.inbox_id)))?;
        // A body that jsonb cannot hold is stored as bytes only, and whoever received it wrote down why.
        if let ("null", Some(reason)) = (payload.as_str(), unfit) {
            return Err(Failure::validation(reason));
        }
        SealSubscription::parse(&serde_json::from_str(&payload)?).map_err(|refusal| Failure::validation(refusal.to_string()))?;
        Ok(())
    }
}
