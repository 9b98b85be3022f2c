//! `GET /v1/kinds`: what can be enqueued, and what its arguments look like.

use axum::Json;
use axum::extract::State;
use engine::KindInfo;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::AppState;

/// What can be enqueued.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct KindsAnswer {
    /// Every kind, by name.
    kinds: Vec<Kind>,
}

/// One kind.
#[derive(Debug, Serialize, JsonSchema)]
struct Kind {
    /// Its name.
    name: &'static str,
    /// The queue its jobs go to.
    queue: &'static str,
    /// Their priority: 0 runs first, 9 last.
    priority: i16,
    /// The version of the arguments' shape.
    version: u32,
    /// The JSON schema of the arguments.
    schema: Value,
}

/// Every kind that this program knows.
pub(super) async fn list(State(state): State<AppState>) -> Json<KindsAnswer> {
    Json(KindsAnswer { kinds: state.kinds.describe_all().into_iter().map(Kind::from).collect() })
}

impl From<KindInfo> for Kind {
    fn from(KindInfo { name, queue, priority, version, schema }: KindInfo) -> Self {
        Self { name, queue, priority, version, schema }
    }
}
