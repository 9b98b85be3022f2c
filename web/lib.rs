//! The HTTP process: webhooks in, health and metrics out.
//!
//! webhook -> signature -> inbox row and job in one commit -> 200
//!
//! ```text
//! POST /functions/v1/shopify-webhook-handler   orders of Shopify
//! POST /functions/v1/seal-webhook-handler      subscriptions of Seal
//! POST /functions/v1/calculate-pack-day-instructions  says how each box of a day is packed
//! POST /functions/v1/ops-alerter               raises an alert
//! POST /functions/v1/retry-failed-webhooks      tries webhooks again
//! POST /functions/v1/sync-address-change       has a new address told again
//! POST /functions/v1/import-temperature-log    what a logger measured on a parcel's way
//! POST /webhooks/courier                       scans of parcels
//! POST /webhooks/packer                        what the packer has sent
//! POST /webhooks/customerio                    reports of Customer.io about mails
//! *    /v1/…                                       the producers' API, see `api`
//! GET  /healthz                                the process is alive
//! GET  /readyz                                 the database answers and its schema is current
//! GET  /metrics                                figures in the Prometheus text format
//! ```
//!
//! Handlers verify, store and answer; work happens in jobs.

pub mod api;
mod config;
pub mod functions;
mod health;
mod metrics;
mod rights;
mod server;
mod state;
mod trace;
mod unread;
pub mod webhooks;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::routing::{get, post};

pub use config::{Config, ConfigError, Keys};
pub use jobs::clients::Secret;
pub use server::{ServeError, bind, run, serve};
pub use state::AppState;

/// Every route of the process.
///
/// An unknown path is answered like a refused one: a status and no body, under `/v1` with a sentence.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route(webhooks::shopify::PATH, post(webhooks::shopify::receive))
        .route(webhooks::seal::PATH, post(webhooks::seal::receive))
        .route(webhooks::courier::PATH, post(webhooks::courier::receive))
        .route(webhooks::packer::PATH, post(webhooks::packer::receive))
        .route(webhooks::customerio::PATH, post(webhooks::customerio::receive))
        .merge(functions::router(&state))
        .merge(api::router(&state))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(from_fn(api::problem::form))
        .layer(from_fn(trace::follow))
        .layer(from_fn(unread::finish))
        .with_state(state)
}

#[cfg(test)]
mod tests;
