//! `POST /functions/v1/retry-failed-webhooks`: tries again webhooks that failed for a reason that passes.
//!
//! token -> rows of the inboxes, each with a job, in one commit -> which they are
//!
//! The same that the schedule of this name does every five minutes; what the body says is not asked.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::AppState;
use crate::api::problem::Problem;

/// Where the registry has it.
pub const PATH: &str = "/functions/v1/retry-failed-webhooks";

/// Rows of one call, of each inbox.
const BATCH: i32 = 100;

/// Retries once.
pub(crate) async fn call(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let retried: Vec<(Uuid, i64)> =
        sqlx::query_as(include_str!("../sql/webhook_inbox/retry_failed.sql")).bind(BATCH).fetch_all(&state.pool).await?;
    // Ids of jobs are text in JSON, as in the API: they can be beyond what a float holds.
    let webhooks: Vec<Value> =
        retried.iter().map(|(inbox_id, job_id)| json!({ "inbox_id": inbox_id, "job_id": job_id.to_string() })).collect();
    Ok(Json(json!({ "retried": webhooks.len(), "webhooks": webhooks })))
}
