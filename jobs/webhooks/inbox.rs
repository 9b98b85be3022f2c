//! What lies in an inbox, for the jobs that read it.

use std::fmt;

use engine::{Failure, JobResult, Run, Tx};
use serde_json::{Value, json};
use uuid::Uuid;

/// A verified webhook.
pub(crate) struct Webhook {
    /// What it is about, as its header claims.
    pub topic: String,
    /// Its body.
    pub document: Value,
}

/// An inbox.
#[derive(Clone, Copy)]
pub(crate) enum Inbox {
    /// `raw_ops.webhook_inbox`.
    Webhooks,
    /// `raw_ops.seal_webhook_inbox`.
    Seal,
}

/// How one kind of document is written down by a function of the database.
pub(crate) struct Writing<D> {
    /// Where the document lies.
    pub inbox: Inbox,
    /// Refuses what is none, in words that the function cannot give.
    pub parse: fn(&Value) -> Result<D, crate::orders::shopify_order::Refusal>,
    /// Calls the function with the row's id; returns what was written and the outcome.
    pub statement: &'static str,
    /// What was written, as the job's output names it.
    pub subject: &'static str,
    /// What the document waits for, where nothing could be written.
    pub waits_for: fn(&D) -> String,
}

impl<D> Writing<D> {
    /// Writes down the document of this row: the function's writes, its mark on the row and the job's completion are one commit.
    ///
    /// # Errors
    /// Category `validation` when there is no such document, `not_ready` while what it needs has not arrived, and what the
    /// function raises.
    pub(crate) async fn write_down(&self, run: &Run, inbox_id: Uuid) -> JobResult {
        let mut tx = run.begin().await?;
        let webhook = self.inbox.read(&mut tx, inbox_id).await?;
        let document = (self.parse)(&webhook.document).map_err(|refusal| Failure::validation(refusal.to_string()))?;
        let (subject, outcome): (Option<Uuid>, String) = sqlx::query_as(self.statement).bind(inbox_id).fetch_one(&mut *tx).await?;
        let Some(subject) = subject else { return Err(Failure::not_ready((self.waits_for)(&document))) };
        run.complete_in(tx, json!({ (self.subject): subject, "outcome": outcome })).await
    }
}

impl Inbox {
    /// The webhook of this row.
    ///
    /// # Errors
    /// Category `validation` when there is no such row, or its body is no document; the message says why.
    pub(crate) async fn read(self, tx: &mut Tx, inbox_id: Uuid) -> JobResult<Webhook> {
        let statement = match self {
            Self::Webhooks => "select topic, raw_payload::text, last_error from raw_ops.webhook_inbox where id = $1",
            Self::Seal => "select webhook_topic, payload::text, last_error from raw_ops.seal_webhook_inbox where id = $1",
        };
        let found: Option<(String, String, Option<String>)> = sqlx::query_as(statement).bind(inbox_id).fetch_optional(&mut **tx).await?;
        let (topic, payload, unfit) = found.ok_or_else(|| Failure::validation(format!("webhook {inbox_id} is not in {self}")))?;
        // A body that jsonb cannot hold is stored as bytes only, and whoever received it wrote down why.
        if let ("null", Some(reason)) = (payload.as_str(), unfit) {
            return Err(Failure::validation(reason));
        }
        Ok(Webhook { topic, document: serde_json::from_str(&payload)? })
    }
}

impl fmt::Display for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Webhooks => "the inbox",
            Self::Seal => "the inbox of Seal",
        })
    }
}
