//! What lies in the inbox, for the jobs that read it.

use engine::{Failure, JobResult, Tx};
use serde_json::Value;
use uuid::Uuid;

/// A verified webhook.
pub(crate) struct Webhook {
    /// What it is about, as its header claims.
    pub topic: String,
    /// Its body.
    pub document: Value,
}

/// The webhook of this row.
///
/// # Errors
/// Category `validation` when there is no such row, or its body is no document; the message says why.
pub(crate) async fn read(tx: &mut Tx, inbox_id: Uuid) -> JobResult<Webhook> {
    let found: Option<(String, String, Option<String>)> =
        sqlx::query_as("select topic, raw_payload::text, last_error from raw_ops.webhook_inbox where id = $1")
            .bind(inbox_id)
            .fetch_optional(&mut **tx)
            .await?;
    let (topic, payload, unfit) = found.ok_or_else(|| Failure::validation(format!("webhook {inbox_id} is not in the inbox")))?;
    // A body that jsonb cannot hold is stored as bytes only, and whoever received it wrote down why.
    if let ("null", Some(reason)) = (payload.as_str(), unfit) {
        return Err(Failure::validation(reason));
    }
    Ok(Webhook { topic, document: serde_json::from_str(&payload)? })
}
