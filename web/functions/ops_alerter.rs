//! `POST /functions/v1/ops-alerter`: raises an alert, which a job posts to Slack.
//!
//! token -> alert, joined with those of its key, in one commit -> its row
//!
//! The severity decides the channel. The body may name one, as the registry has it, and is not asked.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use jobs::clients::slack::{Field, Severity};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::AppState;
use crate::api::problem::Problem;
use crate::webhooks::body;

/// Where monitors post to.
pub const PATH: &str = "/functions/v1/ops-alerter";

/// The longest title, in characters.
const TITLE_LIMIT: usize = 200;
/// The longest key, in bytes.
const KEY_LIMIT: usize = 200;

/// The registry's body, and what keeps an alert from being repeated.
#[derive(Debug, Deserialize)]
struct Wish {
    severity: Severity,
    title: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    fields: Vec<Field>,
    /// Alerts of one key are one alert for a while.
    #[serde(default)]
    idempotency_key: Option<String>,
    #[serde(default)]
    source_check: Option<String>,
    /// What the alert of this key told of is over.
    #[serde(default)]
    resolved: bool,
}

/// Raises the alert of the body.
pub(crate) async fn call(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Result<Json<Value>, Problem> {
    let body = body::read(&headers, body).await?;
    let wish: Wish = serde_json::from_slice(&body).map_err(|error| Problem::invalid(format!("the body is no alert: {error}")))?;
    if let Some(fault) = wish.fault() {
        return Err(Problem::invalid(fault));
    }
    if wish.resolved {
        return clear(&state, &wish).await;
    }
    let (id, outcome): (Uuid, String) = sqlx::query_as(include_str!("../sql/alert_log/raise.sql"))
        .bind(serde_json::to_value(wish.severity).ok().and_then(|word| word.as_str().map(str::to_owned)))
        .bind(&wish.title)
        .bind(&wish.message)
        .bind(json!(wish.fields))
        .bind(&wish.idempotency_key)
        .bind(&wish.source_check)
        .fetch_one(&state.pool)
        .await?;
    Ok(Json(json!({ "id": id, "outcome": outcome })))
}

async fn clear(state: &AppState, wish: &Wish) -> Result<Json<Value>, Problem> {
    let id: Option<Uuid> = sqlx::query_scalar(include_str!("../sql/alert_log/clear.sql"))
        .bind(&wish.idempotency_key)
        .bind(&wish.title)
        .bind(&wish.message)
        .fetch_one(&state.pool)
        .await?;
    Ok(Json(json!({ "id": id, "outcome": if id.is_some() { "queued" } else { "nothing" } })))
}

impl Wish {
    fn fault(&self) -> Option<&'static str> {
        let texts = [&self.title, &self.message].into_iter().chain(&self.idempotency_key).chain(&self.source_check);
        let texts = texts.chain(self.fields.iter().flat_map(|field| [&field.label, &field.value]));
        if texts.into_iter().any(|text| text.contains('\0')) {
            return Some("a text holds the character U+0000");
        }
        if self.title.trim().is_empty() || self.title.chars().count() > TITLE_LIMIT {
            return Some("title must have 1 to 200 characters");
        }
        if self.idempotency_key.as_ref().is_some_and(|key| key.is_empty() || key.len() > KEY_LIMIT) {
            return Some("idempotency_key must have 1 to 200 bytes");
        }
        (self.resolved && self.idempotency_key.is_none()).then_some("resolved needs the idempotency_key of the alert that is over")
    }
}
