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
    // Another producer may number its requests alike.
    let other = web::api::tokens::create(api.edge.pool(), "other", &[Scope::EventsWrite], "ada", None).await.expect("a token");
    let event = json!({ "name": "approval", "key": "order 7", "payload": { "by": "eve" } });
    let request = reqwest::Client::new().post(api.edge.url("/v1/events")).bearer_auth(other).header("Idempotency-Key", "a").json(&event);
    assert_eq!(answer(request).await.0, 201);

    let others = Api::start(&[Scope::JobsWrite]).await;
    refusal(others.post("/v1/events", &json!({ "name": "n", "key": "" })).await, 403);
}

#[tokio::test]
async fn who_asks_for_what_an_open_transaction_holds_is_told_to_come_again() {
    let api = Api::start(&[Scope::EventsWrite, Scope::JobsWrite]).await;
    let mut open = api.edge.pool().begin().await.expect("a transaction");
    engine::emit_in(&mut open, "approval", "7", &1, None).await.expect("emitted");
    let event = json!({ "name": "approval", "key": "7" });
    assert!(refusal(api.post("/v1/events", &event).await, 503).starts_with("a transaction that is still open"));
    open.rollback().await.expect("rolled back");
    assert_eq!(api.post("/v1/events", &event).await.0, 201);
}
