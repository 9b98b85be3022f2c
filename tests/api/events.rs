//! Events over HTTP.

use reqwest::Method;
use serde_json::{Value, json};
use web::api::Scope;

use super::{Api, answer, refusal};
use crate::support::ledger::count;

#[tokio::test]
async fn an_event_is_emitted_once_a_key_by_whoever_may() {
    let api = Api::start(&[Scope::EventsWrite]).await;
    let event = json!({ "name": "approval", "key": "order 7", "payload": { "by": "ada" } });
    let send = async |body: Value| answer(api.request(Method::POST, "/v1/events").header("Idempotency-Key", "a").json(&body)).await;
    let (status, first) = send(event.clone()).await;
    assert_eq!((status, &first["created"], &first["woken"]), (201, &json!(true), &json!(0)), "{first}");
    let (status, again) = send(event).await;
    assert_eq!((status, &again["id"]), (200, &first["id"]));
    let other = json!({ "name": "approval", "key": "order 7", "payload": 8 });
    assert!(refusal(send(other).await, 409).contains("was used before"));
    assert_eq!(api.post("/v1/events", &json!({ "name": "ping", "key": "" })).await.0, 201, "a payload is not needed");
    assert_eq!(count(api.edge.pool(), "select count(*) from engine.event").await, 2);

    assert!(refusal(api.post("/v1/events", &json!({ "name": "", "key": "" })).await, 422).starts_with("name:"));
    refusal(api.post("/v1/events", &json!({ "name": "n", "key": "", "payload": "\0" })).await, 422);
    refusal(api.post("/v1/events", &json!({ "name": "n" })).await, 422);
    let others = Api::start(&[Scope::JobsWrite]).await;
    refusal(others.post("/v1/events", &json!({ "name": "n", "key": "" })).await, 403);
}
