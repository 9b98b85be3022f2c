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

use engine::{Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::seal_subscription::SealSubscription;
use crate::webhooks::inbox::{Inbox, Writing};

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
        let writing = Writing {
            inbox: Inbox::Seal,
            parse: SealSubscription::parse,
            statement: "select subscription_id, outcome from raw_ops.process_seal_webhook_txn($1)",
            subject: "subscription_id",
            waits_for: |_| "nothing was written".into(),
        };
        writing.write_down(run, self.inbox_id).await
    }
}
