//! `POST /webhooks/courier`: scans of parcels, in our own form, from the adapter of each courier.
//!
//! size -> signature over version, time and raw bytes -> inbox row and job in one commit -> 200
//!
//! ```text
//! X-Rawops-Timestamp: 1768477330
//! X-Rawops-Signature: hex(HMAC-SHA256(secret, "v0:1768477330:" + body))
//!
//! {"tracking_no": "15501234567890", "carrier": "DPD", "event_code": "015", "event_text": "Your parcel is out for delivery",
//!  "event_time": "2026-01-15 07:12:00", "raw": {…}}
//! ```
//!
//! The signature covers the time, so a captured request is good for five minutes only, and its bytes are known.

use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::{body, claim, jsonb};
use crate::AppState;
use crate::trace::TRACE_PARENT;

/// Where adapters post to.
pub const PATH: &str = "/webhooks/courier";

/// How long the database may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);
/// How far from now a request may be dated, in seconds.
const DATE_LIMIT: u64 = 5 * 60;

const SIGNATURE: &str = "x-rawops-signature";
const TIMESTAMP: &str = "x-rawops-timestamp";

/// Receives one scan.
pub async fn receive(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Response {
    let Some(verifier) = &state.courier else { return StatusCode::NOT_FOUND.into_response() };
    let body = match body::read(&headers, body).await {
        Ok(body) => body,
        Err(refusal) => {
            tracing::warn!(reason = %refusal, "scan refused");
            return refusal.status().into_response();
        }
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let signed = match (claim::the_one(&headers, TIMESTAMP), claim::the_one(&headers, SIGNATURE)) {
        (Some(timestamp), Some(signature)) => {
            is_recent(timestamp, now) && verifier.accepts_hex(&[b"v0:", timestamp.as_bytes(), b":", &body], signature.as_bytes())
        }
        _ => false,
    };
    if !signed {
        tracing::warn!("scan without a valid signature refused");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match timeout(STORE_TIMEOUT, store(&state, &body)).await {
        Ok(Ok(outcome)) => {
            tracing::debug!(outcome, "scan stored");
            StatusCode::OK.into_response()
        }
        Ok(Err(error)) => unavailable(&error),
        Err(late) => unavailable(&late),
    }
}

fn is_recent(timestamp: &str, now: u64) -> bool {
    timestamp.parse::<u64>().is_ok_and(|at| at.abs_diff(now) <= DATE_LIMIT)
}

async fn store(state: &AppState, body: &Bytes) -> sqlx::Result<String> {
    let unfit = jsonb::check(body).err().map(|unfit| unfit.to_string());
    let payload = std::str::from_utf8(body).ok().filter(|_| unfit.is_none()).unwrap_or("null");
    let headers = engine::trace::current().map_or_else(|| json!({}), |trace| json!({ TRACE_PARENT: trace.to_string() }));
    sqlx::query_scalar(include_str!("../sql/courier_events/store.sql"))
        .bind(payload)
        .bind(headers.to_string())
        .bind(&body[..])
        .bind(&Sha256::digest(body)[..])
        .bind(unfit)
        .fetch_one(&state.pool)
        .await
}

fn unavailable(error: &dyn std::fmt::Display) -> Response {
    tracing::error!(%error, "scan not stored");
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")]).into_response()
}
