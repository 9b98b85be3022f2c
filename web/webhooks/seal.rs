//! `POST /functions/v1/seal-webhook-handler`: what became of subscriptions.
//!
//! size -> signature over the raw bytes -> inbox row and job in one commit -> 200
//!
//! Seal sends no id of a delivery, so topic and bytes are what makes one known. As with Shopify nothing is parsed before the
//! signature holds, and nothing is answered with 200 before the commit.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::{body, claim, jsonb};
use crate::AppState;
use crate::trace::TRACE_PARENT;

/// Where Seal posts to; the path is part of the webhook's settings.
pub const PATH: &str = "/functions/v1/seal-webhook-handler";

/// Topics that a job reads: all that carry a subscription.
pub const TOPICS: [&str; 12] = [
    "subscription/created",
    "subscription/updated",
    "subscription/paused",
    "subscription/resumed",
    "subscription/reactivated",
    "subscription/expired",
    "subscription/cancelled",
    "subscription/payment_method_updated",
    "subscription/shipping_address_updated",
    "billing_attempt/succeeded",
    "billing_attempt/failed",
    "billing_attempt/upcoming_email_sent",
];

/// How long the database may take; Seal gives up after five seconds.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);

const SIGNATURE: &str = "x-seal-hmac-sha256";
const TOPIC: &str = "x-seal-topic";

/// Receives one webhook.
pub async fn receive(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Response {
    let Some(verifier) = &state.seal else { return StatusCode::NOT_FOUND.into_response() };
    let body = match body::read(&headers, body).await {
        Ok(body) => body,
        Err(refusal) => {
            tracing::warn!(reason = %refusal, "webhook of Seal refused");
            return refusal.status().into_response();
        }
    };
    let signed = claim::the_one(&headers, SIGNATURE).is_some_and(|signature| verifier.accepts(&body, signature.as_bytes()));
    if !signed {
        tracing::warn!("webhook of Seal without a valid signature refused");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match timeout(STORE_TIMEOUT, store(&state, &headers, &body)).await {
        Ok(Ok(outcome)) => {
            tracing::debug!(outcome, "webhook of Seal stored");
            StatusCode::OK.into_response()
        }
        Ok(Err(error)) => unavailable(&error),
        Err(late) => unavailable(&late),
    }
}

async fn store(state: &AppState, headers: &HeaderMap, body: &Bytes) -> sqlx::Result<String> {
    let topic = claim::short(headers, TOPIC).unwrap_or_else(|| "unknown".into());
    let (payload, unfit) = document(body);
    let subscription = serde_json::from_str::<Identified>(&payload).ok().and_then(|named| match named.id {
        Value::Number(id) => Some(id.to_string()),
        Value::String(id) if id.len() <= 40 => Some(id),
        _ => None,
    });
    sqlx::query_scalar(include_str!("../sql/seal_webhook_inbox/store.sql"))
        .bind(&topic)
        .bind(subscription)
        .bind(&*payload)
        .bind(kept(headers).to_string())
        .bind(&body[..])
        .bind(key(&topic, body))
        .bind(TOPICS.contains(&topic.as_str()))
        .bind(unfit)
        .fetch_one(&state.pool)
        .await
}

#[derive(Deserialize)]
struct Identified {
    #[serde(default)]
    id: Value,
}

/// What jsonb can hold of a body: all but the character U+0000, which a name can have and which means nothing. `null` and the
/// reason when that is not enough; the bytes are kept in any case.
fn document(body: &[u8]) -> (Cow<'_, str>, Option<String>) {
    let text = std::str::from_utf8(body).map(without_nul).unwrap_or_default();
    match jsonb::check(if text.is_empty() { body } else { text.as_bytes() }) {
        Ok(_) => (text, None),
        Err(unfit) => (Cow::Borrowed("null"), Some(unfit.to_string())),
    }
}

/// The text without the escape `\u0000`. Backslashes stand in strings alone, and one may itself be escaped.
fn without_nul(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u0000") {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("\\u0000") {
            rest = after;
            continue;
        }
        let escape = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
        kept.push_str(&rest[..escape]);
        rest = &rest[escape..];
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

fn key(topic: &str, body: &[u8]) -> String {
    let digest = Sha256::new().chain_update(topic).chain_update(body).finalize();
    digest.iter().fold(String::with_capacity(64), |mut key, byte| {
        write!(key, "{byte:02x}").expect("a string takes what is written");
        key
    })
}

/// The headers worth keeping, without the signature; the trace, for the row's trigger to hand on to the job.
fn kept(headers: &HeaderMap) -> Value {
    let mut kept = Map::new();
    if let Some(trace) = engine::trace::current() {
        kept.insert(TRACE_PARENT.into(), trace.text().into());
    }
    for name in [TOPIC, "content-type", "user-agent"] {
        if let Some(value) = claim::short(headers, name) {
            kept.insert(name.into(), value.into());
        }
    }
    Value::Object(kept)
}

fn unavailable(error: &dyn std::fmt::Display) -> Response {
    tracing::error!(%error, "webhook of Seal not stored");
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_character_that_jsonb_cannot_hold_is_left_out() {
        for (text, kept) in [
            (r#"{"a":"A\u0000B"}"#, r#"{"a":"AB"}"#),
            (r#"{"a":"\\u0000"}"#, r#"{"a":"\\u0000"}"#),
            (r#"{"a":"\\\u0000\u0001"}"#, r#"{"a":"\\\u0001"}"#),
            (r#"{"a":"é\u0000\n\\"}"#, r#"{"a":"é\n\\"}"#),
            (r#"{"a":1}"#, r#"{"a":1}"#),
        ] {
            assert_eq!(without_nul(text), kept);
        }
        assert_eq!(document(b"{\"a\":\"\\u0000\"}"), (Cow::Borrowed("{\"a\":\"\"}"), None));
        assert_eq!(document(b"\\").0, "null");
        assert_eq!(document(b"\xff").1.as_deref(), Some("the body is not UTF-8"));
        assert!(document(b"").1.is_some());
    }
}
