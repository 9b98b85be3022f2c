//! `GET /v1/kinds`: what can be enqueued, and what its arguments look like.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::AppState;

/// Every kind that this program knows.
pub(super) async fn list(State(state): State<AppState>) -> Json<Value> {
    let kinds = state.kinds.describe_all();
    Json(json!({ "kinds": kinds }))
}
