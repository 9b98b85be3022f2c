//! `POST /webhooks/packer`: what has left, as a file of rows, from the packer's adapter.
//!
//! signed and dated bytes -> inbox row and job in one commit -> 200
//!
//! The file is CSV or JSON, see `jobs/dispatch/file.rs`; its bytes say which, since the signature covers them and not the headers.
//! `X-Rawops-File` may name it.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{adapter, body, claim};
use crate::AppState;
use crate::trace::TRACE_PARENT;

/// Where the adapter posts to.
pub const PATH: &str = "/webhooks/packer";

/// The name of the file.
const FILE: &str = "x-rawops-file";

/// Receives one file.
pub async fn receive(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Response {
    match adapter::signed("file of the packer", &[body::JSON, body::CSV], state.packer.as_ref(), &headers, body).await {
        Ok(body) => adapter::stored("file of the packer", store(&state, &headers, &body)).await,
        Err(refusal) => refusal,
    }
}

async fn store(state: &AppState, headers: &HeaderMap, body: &Bytes) -> sqlx::Result<String> {
    let trace = engine::trace::current().map(|trace| trace.text());
    let headers = json!({ "source": "http", "file_name": claim::short(headers, FILE), TRACE_PARENT: trace });
    sqlx::query_scalar(include_str!("../sql/dispatch_files/store.sql"))
        .bind(headers.to_string())
        .bind(&body[..])
        .bind(&Sha256::digest(body)[..])
        .fetch_one(&state.pool)
        .await
}
