//! `POST /webhooks/courier`: scans of parcels, in our own form, from the adapter of each courier.
//!
//! signed and dated bytes -> inbox row and job in one commit -> 200
//!
//! ```text
//! {"tracking_no": "15501234567890", "carrier": "DPD", "event_code": "015", "event_text": "Your parcel is out for delivery",
//!  "event_time": "2026-01-15 07:12:00", "raw": {…}}
//! ```

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{adapter, body, jsonb};
use crate::AppState;
use crate::trace::TRACE_PARENT;

/// Where adapters post to.
pub const PATH: &str = "/webhooks/courier";

/// Receives one scan.
pub async fn receive(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Response {
    match adapter::signed("scan", &[body::JSON], state.courier.as_ref(), &headers, body).await {
        Ok(body) => adapter::stored("scan", store(&state, &body)).await,
        Err(refusal) => refusal,
    }
}

async fn store(state: &AppState, body: &Bytes) -> sqlx::Result<String> {
    let unfit = jsonb::check(body).err().map(|unfit| unfit.to_string());
    let payload = std::str::from_utf8(body).ok().filter(|_| unfit.is_none()).unwrap_or("null");
    let headers = engine::trace::current().map_or_else(|| json!({}), |trace| json!({ TRACE_PARENT: trace.text() }));
    sqlx::query_scalar(include_str!("../sql/courier_events/store.sql"))
        .bind(payload)
        .bind(headers.to_string())
        .bind(&body[..])
        .bind(&Sha256::digest(body)[..])
        .bind(unfit)
        .fetch_one(&state.pool)
        .await
}
