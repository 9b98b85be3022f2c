//! `POST /functions/v1/run-monitor`: runs a monitor and answers with what it says.
//!
//! token -> a job, or the one that is about to look -> its answer; 202 with the job while it has none

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::{Client, Ending, NewJob};
use jobs::monitors::{Check, RunMonitor};
use serde::Deserialize;
use serde_json::json;

use crate::AppState;
use crate::api::problem::Problem;
use crate::webhooks::body;

/// Where monitors are run.
pub const PATH: &str = "/functions/v1/run-monitor";

/// How long a caller is kept waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// The registry's body.
#[derive(Debug, Deserialize)]
struct Wish {
    check: Check,
}

/// Runs the monitor of the body.
pub(crate) async fn call(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let body = body::read(&headers, body).await?;
    let Wish { check } = serde_json::from_slice(&body).map_err(|error| Problem::invalid(format!("the body names no check: {error}")))?;
    let client = Client::new(state.pool.clone());
    let job = NewJob::of(&RunMonitor { check }).map_err(|error| Problem::invalid(error.to_string()))?;
    let job_id = client.enqueue(&job.unique_key(check.name())).await?.id;
    Ok(match client.wait_for_end(job_id, PATIENCE).await? {
        Some(Ending::Completed(answer)) => Json(answer).into_response(),
        Some(Ending::Dead { error, .. }) => {
            let error = error.unwrap_or_else(|| "no reason is known".into());
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the monitor failed: {error}")));
        }
        Some(Ending::Cancelled(_)) | None => (StatusCode::ACCEPTED, Json(json!({ "check": check, "job_id": job_id }))).into_response(),
    })
}
