//! The producers' API: enqueue, ask and cancel over HTTP, with a token that may do just that.
//!
//! ```text
//! POST /v1/jobs               enqueue one job, or many
//! GET  /v1/jobs/{id}          where a job stands, its attempts and its output
//! POST /v1/jobs/{id}/cancel   ask a job to stop
//! POST /v1/events             say that something happened, to workflows that wait for it
//! GET  /v1/kinds              every kind with the schema of its arguments
//! GET  /v1/openapi.json       this table, for programs
//! ```
//!
//! An error is a sentence in the form of RFC 9457. One table holds path, scope, schema and handler of each operation.

mod events;
mod jobs;
mod kinds;
mod lanes;
mod openapi;
pub(crate) mod problem;
pub mod tokens;

use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use serde_json::Value;

pub use tokens::Scope;

use crate::AppState;

/// What can be done over HTTP.
pub(crate) struct Operation {
    /// `get` or `post`.
    pub method: &'static str,
    /// Where, with parameters in braces.
    pub path: &'static str,
    /// What a caller's token must allow; `None`: anybody.
    pub scope: Option<Scope>,
    /// In a few words.
    pub summary: &'static str,
    /// The schema of the request's body.
    pub body: Option<Value>,
    /// The status of success, and the schema of its body.
    pub answer: (u16, Value),
    route: MethodRouter<AppState>,
}

/// Every operation.
pub(crate) fn operations() -> Vec<Operation> {
    let get =
        |path, scope, summary, answer, route| Operation { method: "get", path, scope, summary, body: None, answer: (200, answer), route };
    vec![
        Operation {
            method: "post",
            path: "/v1/jobs",
            scope: Some(Scope::JobsWrite),
            summary: "Enqueue one job, or many",
            body: Some(jobs::request_schema()),
            answer: (201, jobs::answer_schema()),
            route: post(jobs::enqueue),
        },
        get("/v1/jobs/{id}", Some(Scope::JobsRead), "Where a job stands", Value::Bool(true), get_route(jobs::show)),
        Operation {
            method: "post",
            path: "/v1/jobs/{id}/cancel",
            scope: Some(Scope::JobsWrite),
            summary: "Ask a job to stop",
            body: Some(jobs::cancel_schema()),
            answer: (202, Value::Bool(true)),
            route: post(jobs::cancel),
        },
        Operation {
            method: "post",
            path: "/v1/events",
            scope: Some(Scope::EventsWrite),
            summary: "Say that something happened, to workflows that wait for it",
            body: Some(events::request_schema()),
            answer: (201, events::answer_schema()),
            route: post(events::emit),
        },
        get("/v1/kinds", Some(Scope::JobsRead), "Every kind with the schema of its arguments", Value::Bool(true), get_route(kinds::list)),
        get("/v1/openapi.json", None, "This document", Value::Bool(true), get_route(openapi::show)),
    ]
}

fn get_route<T: 'static, H: axum::handler::Handler<T, AppState>>(handler: H) -> MethodRouter<AppState> {
    get(handler)
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
