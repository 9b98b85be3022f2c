//! A request is taken if it is as the document at `/v1/openapi.json` says, and no other.

use serde_json::{Value, json};
use web::api::Scope;

use super::{
    Api,
    document::Document,
    openapi::{REQUEUE, at, prune},
};

fn with(options: Value) -> (&'static str, Value) {
    let (Value::Object(mut job), Value::Object(options)) = (prune(), options) else { panic!("an object") };
    job.extend(options);
    ("/v1/jobs", job.into())
}

fn right_requests() -> Vec<(&'static str, Value)> {
    vec![
        with(json!({ "queue": "slow", "priority": 9, "run_at": "2100-01-01T00:00:00Z", "max_attempts": 2, "limit_key": "shop:42" })),
        with(json!({ "unique_args": true, "unique_for_seconds": 3600, "deadline": "2100-01-01T00:00:00Z", "queue": null })),
        with(json!({ "unique_key": "a", "debounce": { "wait_seconds": 60, "at_most_seconds": 300 } })),
        ("/v1/jobs", json!({ "jobs": [prune(), prune()] })),
        ("/v1/events", json!({ "name": "n", "key": "", "payload": { "by": "ada" } })),
        ("/v1/events", json!({ "name": "n", "key": "k" })),
    ]
}

fn wrong_requests() -> Vec<(&'static str, Value)> {
    vec![
        with(json!({ "queue": "" })),
        with(json!({ "priority": 10 })),
        with(json!({ "run_at": "soon" })),
        with(json!({ "max_attempts": 0 })),
        with(json!({ "limit_key": "" })),
        with(json!({ "unique_for_seconds": -1 })),
        with(json!({ "debounce": { "wait_seconds": 60 } })),
        with(json!({ "surprise": 1 })),
        ("/v1/jobs", json!({ "kind": "health.prune_enqueue_keys" })),
        ("/v1/jobs", json!({ "jobs": [] })),
        ("/v1/jobs", json!({ "jobs": vec![prune(); 1001] })),
        ("/v1/jobs/{id}/cancel", json!({ "why": "a mistake" })),
        (REQUEUE, json!({ "arg": {} })),
        (REQUEUE, json!([null])),
        ("/v1/events", json!(["n", "k", null])),
        ("/v1/events", json!({ "name": "", "key": "" })),
        ("/v1/events", json!({ "name": "n" })),
    ]
}

#[tokio::test]
async fn a_request_is_taken_if_it_is_as_the_document_says() {
    let api = Api::start(&Scope::ALL).await;
    let document = Document::of(&api.edge.url("/").parse().expect("an address")).await;
    for (n, (path, body)) in right_requests().into_iter().enumerate() {
        assert_eq!(document.check_request(path, &body), Ok(()), "{n}");
        assert_eq!(api.post(path, &body).await.0, 201, "{n}");
    }
    for (n, (path, body)) in wrong_requests().into_iter().enumerate() {
        assert!(document.check_request(path, &body).is_err_and(|faults| faults != "there is no schema"), "{n}");
        assert_eq!(api.post(&at(path, "1"), &body).await.0, 422, "{n}");
    }
}
