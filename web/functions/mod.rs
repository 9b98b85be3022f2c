//! The registry's HTTP functions, at the registry's paths, for callers with a token of scope `functions`.
//!
//! ```text
//! POST /functions/v1/calculate-pack-day-instructions   says how each box of a day is packed
//! POST /functions/v1/import-temperature-log            takes the file of a logger that travelled with a parcel
//! POST /functions/v1/ops-alerter                       raises an alert, or says that it is over
//! POST /functions/v1/retry-failed-webhooks             tries webhooks again that failed for a reason that passes
//! POST /functions/v1/run-monitor                       runs a monitor and answers with what it says
//! POST /functions/v1/sync-address-change               has a customer's new address told again to whom it was not
//! ```

pub mod calculate_pack_day_instructions;
pub mod import_temperature_log;
pub mod ops_alerter;
pub mod retry_failed_webhooks;
pub mod run_monitor;
pub mod sync_address_change;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::post;

use crate::AppState;
use crate::api::{Scope, tokens};

/// The routes of the functions.
pub(crate) fn router(state: &AppState) -> Router<AppState> {
    Router::new()
        .route(calculate_pack_day_instructions::PATH, post(calculate_pack_day_instructions::call))
        .route(import_temperature_log::PATH, post(import_temperature_log::call))
        .route(ops_alerter::PATH, post(ops_alerter::call))
        .route(retry_failed_webhooks::PATH, post(retry_failed_webhooks::call))
        .route(run_monitor::PATH, post(run_monitor::call))
        .route(sync_address_change::PATH, post(sync_address_change::call))
        .route_layer(from_fn_with_state((state.clone(), Scope::Functions), tokens::require))
}
