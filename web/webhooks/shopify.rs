//! `POST /functions/v1/shopify-webhook-handler`
//!
//! size -> signature over the raw bytes -> shop -> inbox row and job in one
//! commit -> 200
//!
//! Nothing is parsed before the signature holds, and nothing is answered with
//! 200 before the commit. What Shopify sends twice is kept once.

mod batch;
mod delivery;
mod inbox;
mod writer;

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout_at};

pub use delivery::{Delivery, TOPICS};
pub use inbox::{Inbox, StoreError, Stored};

use super::{body, claim};
use crate::AppState;

/// Where Shopify posts to; the path is part of the shop's configuration.
pub const PATH: &str = "/functions/v1/shopify-webhook-handler";

/// How long the database may take before the delivery is refused with 503.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(3);

/// The whole request; Shopify gives up after five seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(4_500);

const SIGNATURE: &str = "x-shopify-hmac-sha256";
const RETRY_AFTER_SECONDS: &str = "10";

/// Receives one delivery.
pub async fn receive(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Response {
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    let body = match body::read(&headers, body).await {
        Ok(body) => body,
        Err(refusal) => {
            tracing::warn!(reason = %refusal, "Shopify webhook refused");
            state.counts.refused();
            return refusal.status().into_response();
        }
    };
    if !is_signed(&state, &headers, &body) {
        tracing::warn!("Shopify webhook without a valid signature refused");
        state.counts.unsigned();
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if !is_of_our_shop(&state, &headers) {
        tracing::warn!("signed Shopify webhook of another shop refused");
        state.counts.unsigned();
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let delivery = Delivery::new(&state.shop_domain, &headers, body);
    #[cfg(feature = "planted")]
    if engine::planted::is("a webhook is answered before it is committed") {
        tokio::spawn(async move { state.shopify.store(delivery).await });
        return StatusCode::OK.into_response();
    }
    let deadline = deadline.min(Instant::now() + STORE_TIMEOUT);
    match timeout_at(deadline, state.shopify.store(delivery)).await {
        Ok(Ok(stored)) => {
            tracing::debug!(?stored, "Shopify webhook stored");
            state.counts.stored(stored);
            StatusCode::OK.into_response()
        }
        Ok(Err(error)) => unavailable(&state, &error.to_string()),
        Err(_) => unavailable(&state, "the database did not answer in time"),
    }
}

fn is_signed(state: &AppState, headers: &HeaderMap, body: &[u8]) -> bool {
    claim::the_one(headers, SIGNATURE).is_some_and(|signature| state.verifier.accepts(body, signature.as_bytes()))
}

fn is_of_our_shop(state: &AppState, headers: &HeaderMap) -> bool {
    claim::short(headers, "x-shopify-shop-domain").is_some_and(|shop| shop.eq_ignore_ascii_case(&state.shop_domain))
}

fn unavailable(state: &AppState, reason: &str) -> Response {
    tracing::error!(reason, "Shopify webhook not stored");
    state.counts.unavailable();
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER_SECONDS)]).into_response()
}
