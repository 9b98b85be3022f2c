//! `GET /v1/openapi.json`: the table of operations and the schemas of all kinds, as OpenAPI 3.1.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use engine::Kinds;
use serde_json::{Map, Value, json};

use super::jobs::{IDEMPOTENCY_KEY, KEY_LENGTH};
use super::operation::Operation;
use super::problem::{self, Header, ProblemAnswer};
use super::{operations, schema};
use crate::AppState;

/// The document.
pub(super) async fn show(State(state): State<AppState>) -> Json<Value> {
    let mut paths = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described(&operation);
    }
    Json(json!({
        "openapi": "3.1.0",
        "info": { "title": "rawops", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": {
            "schemas": schemas(&state.kinds),
            "responses": refusals(),
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token that `rawops tokens create` made, with the scope that stands beside the operation.",
            } },
        },
    }))
}

fn described(operation: &Operation) -> Value {
    let mut described = json!({
        "summary": operation.summary,
        // An empty list says that anybody may call.
        "security": operation.scope.iter().map(|scope| json!({ "token": [scope.as_str()] })).collect::<Vec<_>>(),
        "parameters": parameters(operation),
        "responses": responses(operation),
    });
    if let Some(body) = &operation.body {
        described["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": body } } });
    }
    described
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let schema = json!({ "type": "string" });
    let of_path = operation.parameters().map(|name| json!({ "name": name, "in": "path", "required": true, "schema": schema }));
    let key = operation.is_keyed.then(|| {
        json!({
            "name": IDEMPOTENCY_KEY,
            "in": "header",
            "required": false,
            "description": "The producer's own name of the request, in visible ASCII characters. Sent again with the same name, the \
                            request is answered, and not done a second time.",
            "schema": { "type": "string", "minLength": 1, "maxLength": KEY_LENGTH },
        })
    });
    let of_query = operation.query.iter().map(
        |(name, schema)| json!({ "name": name, "in": "query", "required": false, "description": schema["description"], "schema": schema }),
    );
    of_path.chain(of_query).chain(key).collect()
}

fn responses(operation: &Operation) -> Map<String, Value> {
    let done = operation.answers.iter().map(|answer| {
        let content = json!({ "application/json": { "schema": answer.schema } });
        (answer.status.as_str().to_string(), json!({ "description": answer.meaning, "content": content }))
    });
    let refused = operation.refusals().into_iter().map(|status| {
        let reference = format!("#/components/responses/{}", status.as_str());
        (status.as_str().to_string(), json!({ "$ref": reference }))
    });
    done.chain(refused).collect()
}

/// The refusals that operations refer to, by their statuses.
fn refusals() -> Map<String, Value> {
    problem::MEANINGS.iter().map(|(status, meaning)| (status.as_str().to_string(), refusal(*status, meaning))).collect()
}

fn refusal(status: StatusCode, meaning: &str) -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    let mut refusal = json!({ "description": meaning, "content": { "application/problem+json": { "schema": schema } } });
    if let Some(Header { name, value, meaning }) = problem::header_of(status) {
        refusal["headers"][name] = json!({ "description": meaning, "required": true, "schema": { "type": "string" }, "example": value });
    }
    refusal
}

/// The arguments of every kind, by its name, and the body of a refusal.
fn schemas(kinds: &Kinds) -> Map<String, Value> {
    let arguments = kinds.describe_all().into_iter().map(|kind| {
        let place = format!("/components/schemas/{}", kind.name);
        (kind.name.to_string(), schema::moved(kind.schema, &place))
    });
    arguments.chain([("Problem".to_string(), schema::of_answer::<ProblemAnswer>())]).collect()
}
