//! `POST /functions/v1/import-temperature-log`: takes the file of a temperature logger that travelled with a parcel.
//!
//! token -> inbox row and job in one commit -> 202
//!
//! ```text
//! POST /functions/v1/import-temperature-log?tracking_no=15501234567890&logger_id=LOG-0042&position=core
//! Content-Type: text/csv
//!
//! Time,Temperature (°C)
//! 2026-01-15 07:00:00,-18.4
//! ```
//!
//! The parcel is named by `tracking_no` or `shipment_id`; `position` is `core` unless it is `corner`. The same file for the same
//! parcel and place is taken once.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::AppState;
use crate::api::problem::Problem;
use crate::trace::TRACE_PARENT;
use crate::webhooks::body;

/// Where logs are posted to.
pub const PATH: &str = "/functions/v1/import-temperature-log";

/// The longest number and name, in bytes.
const LIMIT_BYTES: usize = 64;

/// What a log is of.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    tracking_no: Option<String>,
    shipment_id: Option<Uuid>,
    logger_id: String,
    #[serde(default)]
    position: Position,
}

/// Where in the box a logger lies.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Position {
    #[default]
    Core,
    Corner,
}

/// Takes the log of the body.
pub(crate) async fn call(
    State(state): State<AppState>,
    about: Result<Query<About>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Query(about) = about.map_err(|error| Problem::invalid(error.body_text()))?;
    if let Some(fault) = about.fault() {
        return Err(Problem::invalid(fault));
    }
    let body = body::read_of(&[body::CSV], &headers, body).await?;
    let about = serde_json::to_string(&about).map_err(|error| Problem::invalid(error.to_string()))?;
    let digest = Sha256::new().chain_update(&about).chain_update([0]).chain_update(&body).finalize();
    let trace = engine::trace::current().map_or_else(|| json!({}), |trace| json!({ TRACE_PARENT: trace.text() }));
    let (inbox_id, outcome): (Uuid, String) = sqlx::query_as(include_str!("../sql/temperature_logs/store.sql"))
        .bind(about)
        .bind(trace.to_string())
        .bind(&body[..])
        .bind(&digest[..])
        .fetch_one(&state.pool)
        .await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "inbox_id": inbox_id, "outcome": outcome }))))
}

impl About {
    fn fault(&self) -> Option<&'static str> {
        let is_fit = |text: &str| (1..=LIMIT_BYTES).contains(&text.trim().len()) && !text.contains('\0');
        if self.tracking_no.is_some() == self.shipment_id.is_some() {
            return Some("name the parcel by tracking_no or by shipment_id");
        }
        let texts = self.tracking_no.iter().chain([&self.logger_id]);
        (!texts.map(String::as_str).all(is_fit)).then_some("tracking_no and logger_id must have 1 to 64 bytes")
    }
}
