//! `/v1/events`: say that something happened, to workflows that wait for it.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::Client;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::jobs::{idempotency_key, parse};
use super::problem::Problem;
use crate::AppState;
use crate::webhooks::body;

/// Something that happened.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EventRequest {
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
struct EventAnswer {
    /// The event: new, or the one that came with the same Idempotency-Key before.
    id: String,
    /// Whether this request made it.
    created: bool,
    /// How many workflows it woke.
    woken: i32,
}

pub(super) fn request_schema() -> Value {
    schemars::schema_for!(EventRequest).into()
}

pub(super) fn answer_schema() -> Value {
    schemars::schema_for!(EventAnswer).into()
}

/// `POST /v1/events`
pub(super) async fn emit(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let bytes = body::read(&headers, body).await?;
    let key = idempotency_key(&headers)?;
    let event: EventRequest = parse(&bytes)?;
    if event.name.is_empty() || event.name.chars().count() > 200 || event.key.chars().count() > 500 {
        return Err(Problem::invalid("name: 1 to 200 characters, and key: 500 at most"));
    }
    let emitted = Client::new(state.pool.clone()).emit(&event.name, &event.key, &event.payload, key.as_deref()).await?;
    let status = if emitted.created { StatusCode::CREATED } else { StatusCode::OK };
    let answer = EventAnswer { id: emitted.id.to_string(), created: emitted.created, woken: emitted.woken };
    Ok((status, Json(answer)).into_response())
}
