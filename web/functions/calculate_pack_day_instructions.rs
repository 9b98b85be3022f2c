//! `POST /functions/v1/calculate-pack-day-instructions`: says how each box of a day is packed.
//!
//! token -> a job, or the one that is at it -> how many orders have an instruction; 202 with the job while it has no answer
//!
//! The registry gives no body: without one the day is today in London, and `{"pack_day": "2026-12-01"}` names another.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::{Client, Ending, NewJob};
use jobs::packing::PlanPackDay;
use serde_json::json;

use crate::AppState;
use crate::api::problem::Problem;
use crate::webhooks::body;

/// Where the registry has it.
pub const PATH: &str = "/functions/v1/calculate-pack-day-instructions";

/// How long a caller is kept waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// Plans the day of the body.
pub(crate) async fn call(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let body = body::read(&headers, body).await?;
    let text = if body.trim_ascii().is_empty() { b"{}" } else { body.trim_ascii() };
    let plan: PlanPackDay = serde_json::from_slice(text).map_err(|error| Problem::invalid(format!("the body names no day: {error}")))?;
    let client = Client::new(state.pool.clone());
    let job = NewJob::of(&plan).map_err(|error| Problem::invalid(error.to_string()))?;
    let key = plan.pack_day.map_or_else(|| "today".to_owned(), |day| day.to_string());
    let job_id = client.enqueue(&job.unique_key(key)).await?.id;
    Ok(match client.wait_for_end(job_id, PATIENCE).await? {
        Some(Ending::Completed(answer)) => Json(answer).into_response(),
        Some(Ending::Cancelled(Some(reason))) => return Err(Problem::invalid(reason)),
        Some(Ending::Dead { error, .. }) => {
            let error = error.unwrap_or_else(|| "no reason is known".into());
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the day could not be planned: {error}")));
        }
        Some(Ending::Cancelled(None)) | None => {
            (StatusCode::ACCEPTED, Json(json!({ "pack_day": plan.pack_day, "job_id": job_id }))).into_response()
        }
    })
}
