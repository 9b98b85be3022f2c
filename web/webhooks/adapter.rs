//! Requests of adapters that we write ourselves: signed with their time.
//!
//! size -> signature over version, time and raw bytes -> the bytes
//!
//! ```text
//! X-Rawops-Timestamp: 1768477330
//! X-Rawops-Signature: hex(HMAC-SHA256(secret, "v0:1768477330:" + body))
//! ```
//!
//! The signature covers the time, so a captured request is good for five minutes only, and its bytes are known.

use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::signature::Verifier;
use super::{body, claim};

/// How long the database may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);
/// How far from now a request may be dated, in seconds.
const DATE_LIMIT: u64 = 5 * 60;

const SIGNATURE: &str = "x-rawops-signature";
const TIMESTAMP: &str = "x-rawops-timestamp";

/// The bytes of a request that is signed and dated now, of one of these types of content; else how it is refused. `what` is its name in the log.
pub(super) async fn signed(
    what: &str,
    types: &[&str],
    verifier: Option<&Verifier>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Bytes, Response> {
    let Some(verifier) = verifier else { return Err(StatusCode::NOT_FOUND.into_response()) };
    let body = body::read_of(types, headers, body).await.map_err(|refusal| {
        tracing::warn!(reason = %refusal, "{what} refused");
        refusal.status().into_response()
    })?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let is_signed = match (claim::the_one(headers, TIMESTAMP), claim::the_one(headers, SIGNATURE)) {
        (Some(timestamp), Some(signature)) => {
            is_recent(timestamp, now) && verifier.accepts_hex(&[b"v0:", timestamp.as_bytes(), b":", &body], signature.as_bytes())
        }
        _ => false,
    };
    if !is_signed {
        tracing::warn!("{what} without a valid signature refused");
        return Err(StatusCode::UNAUTHORIZED.into_response());
    }
    Ok(body)
}

fn is_recent(timestamp: &str, now: u64) -> bool {
    timestamp.parse::<u64>().is_ok_and(|at| at.abs_diff(now) <= DATE_LIMIT)
}

/// The answer when the database has stored it, or has not.
pub(super) async fn stored(what: &str, storing: impl Future<Output = sqlx::Result<String>>) -> Response {
    let error = match timeout(STORE_TIMEOUT, storing).await {
        Ok(Ok(outcome)) => {
            tracing::debug!(outcome, "{what} stored");
            return StatusCode::OK.into_response();
        }
        Ok(Err(error)) => error.to_string(),
        Err(late) => late.to_string(),
    };
    tracing::error!(error, "{what} not stored");
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")]).into_response()
}
