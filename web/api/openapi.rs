//! `GET /v1/openapi.json`: the table of operations and the schemas of all kinds, as OpenAPI 3.1.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::{Operation, operations};
use crate::AppState;

/// The document.
pub(super) async fn show(State(state): State<AppState>) -> Json<Value> {
    let mut paths = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described(&operation);
    }
    let arguments: Map<String, Value> = state.kinds.describe_all().into_iter().map(|kind| (kind.name.to_string(), kind.schema)).collect();
    Json(json!({
        "openapi": "3.1.0",
        "info": { "title": "rawops", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": {
            "schemas": arguments,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    }))
}

fn described(operation: &Operation) -> Value {
    let content = |schema: &Value| json!({ "application/json": { "schema": schema } });
    let (status, schema) = &operation.answer;
    let mut described = json!({
        "summary": operation.summary,
        "responses": {
            status.to_string(): { "description": "done", "content": content(schema) },
            "default": { "description": "RFC 9457: title, status, detail", "content": { "application/problem+json": {} } },
        },
    });
    if let Some(scope) = operation.scope {
        described["security"] = json!([{ "token": [scope.as_str()] }]);
    }
    if let Some(body) = &operation.body {
        described["requestBody"] = json!({ "required": true, "content": content(body) });
    }
    let parameters: Vec<Value> = operation
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    described
}
