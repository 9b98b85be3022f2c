//! `POST /webhooks/customerio`: what became of mails.
//!
//! size -> signature over version, time and raw bytes -> report stored and applied to its mail in one commit -> 200
//!
//! A report settles a mail of which nobody knew whether it was sent. What follows from one is a single statement, so it is
//! done at once and no job is made. Customer.io holds back all later reports while one fails, and comes again after an
//! hour: so whatever is signed and cannot be used is told in the log and answered with 200.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::sqlstate;
use jobs::clients::customerio::MESSAGE_HEADER;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::timeout;
use uuid::Uuid;

use super::{body, claim};
use crate::AppState;

/// Where Customer.io posts to; the path is part of the webhook's settings.
pub const PATH: &str = "/webhooks/customerio";

/// How long the database may take; Customer.io gives up after four seconds.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);
/// How far in the future a request may be dated, for clocks that differ, in seconds.
const EARLY_LIMIT: i64 = 5 * 60;
/// How old the date of a request may be, in seconds. Their document dates each attempt; should it date the event, an
/// attempt that follows a failure comes after an hour. Within this time a repetition is known by its event's id.
const LATE_LIMIT: i64 = 2 * 60 * 60;

const SIGNATURE: &str = "x-cio-signature";
const TIMESTAMP: &str = "x-cio-timestamp";

/// A report, as far as it is read.
#[derive(Debug, Deserialize)]
struct Report {
    event_id: String,
    object_type: String,
    metric: String,
    timestamp: i64,
    #[serde(default)]
    data: Data,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Data {
    delivery_id: Option<String>,
    recipient: Option<String>,
    failure_message: Option<String>,
    trigger_event_id: Option<String>,
    campaign_id: Value,
    broadcast_id: Value,
    newsletter_id: Value,
    headers: Map<String, Value>,
}

impl Data {
    fn is_transactional(&self) -> bool {
        self.campaign_id.is_null() && self.broadcast_id.is_null() && self.newsletter_id.is_null()
    }

    /// The row of the outbox that the mail's own header names.
    fn message(&self) -> Option<Uuid> {
        let (_, value) = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(MESSAGE_HEADER))?;
        let text = value.as_str().or_else(|| value.get(0)?.as_str())?;
        Uuid::parse_str(text.trim()).ok()
    }
}

/// Receives one report.
pub async fn receive(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Response {
    let Some(verifier) = &state.reports else { return StatusCode::NOT_FOUND.into_response() };
    let body = match body::read(&headers, body).await {
        Ok(body) => body,
        Err(refusal) => {
            tracing::warn!(reason = %refusal, "report of Customer.io refused");
            return refusal.status().into_response();
        }
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let signed = match (claim::the_one(&headers, TIMESTAMP), claim::the_one(&headers, SIGNATURE)) {
        (Some(timestamp), Some(signature)) => {
            is_recent(timestamp, now) && verifier.accepts_hex(&[b"v0:", timestamp.as_bytes(), b":", &body], signature.as_bytes())
        }
        _ => false,
    };
    if !signed {
        tracing::warn!("report of Customer.io without a valid signature refused");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let report: Report = match serde_json::from_slice(&body) {
        Ok(report) => report,
        Err(error) => {
            tracing::error!(%error, "a signed report of Customer.io cannot be read and is left out");
            return StatusCode::OK.into_response();
        }
    };
    take(&state, &report).await
}

fn is_recent(timestamp: &str, now: i64) -> bool {
    timestamp.parse::<i64>().is_ok_and(|at| (-EARLY_LIMIT..=LATE_LIMIT).contains(&now.saturating_sub(at)))
}

async fn take(state: &AppState, report: &Report) -> Response {
    let Some(delivery_id) = report.data.delivery_id.as_deref().filter(|_| report.object_type == "email") else {
        return StatusCode::OK.into_response();
    };
    // PostgreSQL's text holds no NUL.
    let clean = |text: &str| text.replace('\0', "");
    let stored = sqlx::query_scalar::<_, String>(include_str!("../sql/delivery_reports/take.sql"))
        .bind(clean(&report.event_id))
        .bind(clean(&report.metric))
        // Beyond what a date can hold, it is now that matters.
        .bind(report.timestamp.clamp(0, i64::from(u32::MAX)) as f64)
        .bind(clean(delivery_id))
        .bind(report.data.message())
        .bind(report.data.trigger_event_id.as_deref().map(clean))
        .bind(report.data.recipient.as_deref().map(clean))
        .bind(report.data.is_transactional())
        .bind(report.data.failure_message.as_deref().map(clean))
        .fetch_one(&state.pool);
    match timeout(STORE_TIMEOUT, stored).await {
        Ok(Ok(outcome)) => {
            tracing::debug!(outcome, metric = report.metric, "report of Customer.io taken");
            StatusCode::OK.into_response()
        }
        Ok(Err(error)) if sqlstate::is_of_value(&error) => {
            tracing::error!(%error, "a signed report of Customer.io cannot be stored and is left out");
            StatusCode::OK.into_response()
        }
        Ok(Err(error)) => unavailable(&error),
        Err(late) => unavailable(&late),
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> Response {
    tracing::warn!(%error, "report of Customer.io not stored");
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_too_far_from_now_is_refused() {
        for (at, taken) in [
            ("1000000", true),
            ("1000300", true),
            ("1000301", false),
            ("992800", true),
            ("992799", false),
            ("", false),
            ("x", false),
            ("-9223372036854775808", false),
        ] {
            assert_eq!(is_recent(at, 1_000_000), taken, "{at}");
        }
    }

    #[test]
    fn the_mails_own_header_is_found_in_any_spelling() {
        let id = Uuid::from_u128(7);
        for headers in [
            serde_json::json!({ "X-Rawops-Message": [id] }),
            serde_json::json!({ "X-rawops-message": [id, "other"] }),
            serde_json::json!({ "x-rawops-message": id }),
        ] {
            let data: Data = serde_json::from_value(serde_json::json!({ "headers": headers })).expect("data");
            assert_eq!(data.message(), Some(id));
        }
        let data: Data = serde_json::from_value(serde_json::json!({ "headers": { "x-rawops-message": ["nonsense"] } })).expect("data");
        assert_eq!(data.message(), None);
    }
}
