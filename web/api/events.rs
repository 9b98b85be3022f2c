//! `/v1/events`: say that something happened, to workflows that wait for it.

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::jobs::{idempotency_key, parse};
use super::problem::Problem;
use super::tokens::Caller;
use crate::AppState;
use crate::webhooks::body;

/// Something that happened.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventRequest {
    /// What happened, such as approval.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// To whom or to what: the workflows that wait for this name and key receive it.
    #[schemars(length(max = 500))]
    key: String,
    /// What there is to say of it.
    #[serde(default)]
    payload: Value,
}

/// What became of an event.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EventAnswer {
    /// The event: new, or the one that came with the same Idempotency-Key before.
    id: String,
    /// Whether this request made it.
    created: bool,
    /// How many workflows it woke.
    woken: i32,
}

/// `POST /v1/events`
pub(super) async fn emit(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = body::read(&headers, body).await?;
    let key = idempotency_key(&headers)?.map(|key| of_caller(&caller, &key));
    let event: EventRequest = parse(&bytes)?;
    if event.name.is_empty() || event.name.chars().count() > 200 || event.key.chars().count() > 500 {
        return Err(Problem::invalid("name: 1 to 200 characters, and key: 500 at most"));
    }
    let mut tx = super::begin(&state).await?;
    let emitted = engine::emit_in(&mut tx, &event.name, &event.key, &event.payload, key.as_deref()).await?;
    tx.commit().await?;
    let status = if emitted.created { StatusCode::CREATED } else { StatusCode::OK };
    let answer = EventAnswer { id: emitted.id.to_string(), created: emitted.created, woken: emitted.woken };
    Ok((status, Json(answer)).into_response())
}

/// A key is its producer's own: another may number its requests alike. No header holds the sign between.
fn of_caller(caller: &Caller, key: &str) -> String {
    format!("{key} · {}", caller.0)
}
