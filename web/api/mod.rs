//! The producers' API: enqueue, ask, cancel and run again over HTTP, with a token that may do just that.
//!
//! ```text
//! POST /v1/jobs               enqueue one job, or many
//! GET  /v1/jobs/{id}          where a job stands, its attempts and its output
//! GET  /v1/jobs/{id}/why      what keeps a job from running, and when it should start
//! POST /v1/jobs/{id}/cancel   ask a job to stop
//! GET  /v1/dead-letters       what failed for good and nobody has dealt with
//! POST /v1/dead-letters/{job}/requeue  run a dead job again, as a new one
//! POST /v1/events             say that something happened, to workflows that wait for it
//! GET  /v1/kinds              every kind with the schema of its arguments
//! GET  /v1/openapi.json       this table, for programs
//! ```
//!
//! An error is a sentence in the form of RFC 9457. One table holds path, scope, schemas, answers and handler of each operation.

mod dead_letters;
mod events;
mod explained;
mod job;
mod jobs;
mod kinds;
mod lanes;
mod openapi;
mod operation;
pub(crate) mod problem;
mod schema;
mod shown;
pub mod tokens;

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use serde_json::{Map, Value};

use operation::Operation;
pub use tokens::Scope;

use crate::AppState;

/// Every operation.
fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/v1/jobs", "Enqueue one job, or many", jobs::enqueue)
            .with_scope(Scope::JobsWrite)
            .with_body::<jobs::EnqueueRequest>()
            .with_key()
            .with_answer::<jobs::EnqueueAnswer>(StatusCode::CREATED, "A job was made, or at least one of many.")
            .with_answer::<jobs::EnqueueAnswer>(StatusCode::OK, "None was made: each was there already.")
            .with_refusals(&[StatusCode::CONFLICT, StatusCode::TOO_MANY_REQUESTS]),
        Operation::get("/v1/jobs/{id}", "Where a job stands, its attempts and its output", job::show)
            .with_scope(Scope::JobsRead)
            .with_answer::<shown::ShownJob>(StatusCode::OK, "The job."),
        Operation::get("/v1/jobs/{id}/why", "What keeps a job from running, and when it should start", job::explain)
            .with_scope(Scope::JobsRead)
            .with_answer::<explained::ExplainedJob>(StatusCode::OK, "What keeps it, or what became of it."),
        Operation::post("/v1/jobs/{id}/cancel", "Ask a job to stop", job::cancel)
            .with_scope(Scope::JobsWrite)
            .with_body::<job::CancelRequest>()
            .with_answer::<job::Asked>(StatusCode::ACCEPTED, "It is asked to stop.")
            .with_answer::<job::Ended>(StatusCode::OK, "It has ended."),
        Operation::get("/v1/dead-letters", "What failed for good and nobody has dealt with, newest first", dead_letters::list)
            .with_scope(Scope::JobsRead)
            .with_query::<dead_letters::LettersRequest>()
            .with_answer::<dead_letters::LettersAnswer>(StatusCode::OK, "One page of it."),
        Operation::post("/v1/dead-letters/{job}/requeue", "Run a dead job again, as a new one", dead_letters::requeue)
            .with_scope(Scope::Operate)
            .with_body::<dead_letters::RequeueRequest>()
            .with_answer::<dead_letters::RequeueAnswer>(StatusCode::CREATED, "A new job runs in its place.")
            .with_refusals(&[StatusCode::CONFLICT, StatusCode::TOO_MANY_REQUESTS]),
        Operation::post("/v1/events", "Say that something happened, to workflows that wait for it", events::emit)
            .with_scope(Scope::EventsWrite)
            .with_body::<events::EventRequest>()
            .with_key()
            .with_answer::<events::EventAnswer>(StatusCode::CREATED, "The event was made.")
            .with_answer::<events::EventAnswer>(StatusCode::OK, "It was there already.")
            .with_refusals(&[StatusCode::CONFLICT]),
        Operation::get("/v1/kinds", "Every kind with the schema of its arguments", kinds::list)
            .with_scope(Scope::JobsRead)
            .with_answer::<kinds::KindsAnswer>(StatusCode::OK, "The kinds, by name."),
        Operation::get("/v1/openapi.json", "This document", openapi::show)
            .with_answer::<Map<String, Value>>(StatusCode::OK, "This document."),
    ]
}

/// The routes of the API.
pub(crate) fn router(state: &AppState) -> Router<AppState> {
    operations().into_iter().fold(Router::new(), |router, operation| {
        let route = match operation.scope {
            Some(scope) => operation.route.layer(from_fn_with_state((state.clone(), scope), tokens::require)),
            None => operation.route,
        };
        router.route(operation.path, route)
    })
}

/// A transaction that waits for locks for a moment only: webhooks need the connections too.
async fn begin(state: &AppState) -> sqlx::Result<sqlx::Transaction<'static, sqlx::Postgres>> {
    engine::store::brief::begin(&state.pool, Duration::from_secs(2)).await
}
