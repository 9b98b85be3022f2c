//! `/v1/jobs/{id}`: ask where a job stands and why, and cancel it.

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::JobId;
use engine::store::cancel_request::{self, Cancelled};
use engine::store::{job, why};
use engine::why::Why;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::jobs::parse;
use super::problem::Problem;
use super::tokens::Caller;
use crate::AppState;
use crate::webhooks::body;

/// Why a job is to stop.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelRequest {
    /// For whoever reads the ledger.
    reason: Option<String>,
}

/// A job that has not ended yet.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub(super) enum Asked {
    /// It runs, and its worker stops it at the next renewal of its lease; or an open transaction holds its place, and it is cancelled
    /// when that has ended.
    Requested,
}

/// A job that has ended.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "answer", content = "state")]
pub(super) enum Ended {
    /// It had not started and will not.
    Cancelled,
    /// It had ended already, in this state.
    Already(String),
}

/// `GET /v1/jobs/{id}`
pub(super) async fn show(State(state): State<AppState>, Path(job): Path<String>) -> Result<Json<job::Shown>, Problem> {
    Ok(Json(job::show(&state.pool, id(&job)?).await?))
}

/// `GET /v1/jobs/{id}/why`
pub(super) async fn explain(State(state): State<AppState>, Path(job): Path<String>) -> Result<Json<Why>, Problem> {
    Ok(Json(why::why(&state.pool, id(&job)?).await?))
}

/// `POST /v1/jobs/{id}/cancel`
pub(super) async fn cancel(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(job): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let request: CancelRequest = parse(&body::read(&headers, body).await?)?;
    Ok(match cancel_request::cancel(&state.pool, id(&job)?, &caller.who(), request.reason.as_deref()).await? {
        Cancelled::Requested => (StatusCode::ACCEPTED, Json(Asked::Requested)).into_response(),
        Cancelled::Cancelled => Json(Ended::Cancelled).into_response(),
        Cancelled::Already(state) => Json(Ended::Already(state)).into_response(),
    })
}

/// A job's id as it stands in a path.
pub(super) fn id(text: &str) -> Result<JobId, Problem> {
    text.parse()
        .map_err(|_| Problem::new(StatusCode::NOT_FOUND, format!("{text} is no job's id: a whole number, as the enqueue answered it")))
}
