//! The header `traceparent` of a request names the trace of what the request enqueues and emits, and `tracestate` goes along.

use reqwest::Method;
use serde_json::json;
use web::api::Scope;

use super::{Api, answer};

const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn jobs_and_events_belong_to_the_trace_of_their_request() {
    let api = Api::start(&[Scope::JobsWrite, Scope::EventsWrite]).await;
    let job = json!({ "kind": "health.prune_enqueue_keys", "args": {} });
    let jobs = json!({ "jobs": [job, job] });
    let event = json!({ "name": "approval", "key": "7" });
    for (path, body, headers) in [
        ("/v1/jobs", &job, vec![GIVEN]),
        ("/v1/jobs", &jobs, vec![GIVEN]),
        ("/v1/events", &event, vec![GIVEN]),
        ("/v1/jobs", &job, vec!["00-of-no-use"]),
        ("/v1/jobs", &job, vec![GIVEN, GIVEN]),
    ] {
        let request = headers.iter().fold(api.request(Method::POST, path), |request, header| request.header("traceparent", *header));
        assert_eq!(answer(request.json(body)).await.0, 201, "{path} {headers:?}");
    }
    let traces: Vec<Option<String>> =
        sqlx::query_scalar("select trace_parent from engine.job order by id").fetch_all(api.edge.pool()).await.expect("jobs can be read");
    let given = || Some(GIVEN.to_string());
    assert_eq!(traces, [given(), given(), given(), None, None]);
    let event: Option<String> =
        sqlx::query_scalar("select trace_parent from engine.event").fetch_one(api.edge.pool()).await.expect("one event");
    assert_eq!(event, given());
}

#[tokio::test]
async fn what_systems_on_the_way_noted_goes_along_where_it_can_be_read() {
    let api = Api::start(&[Scope::JobsWrite]).await;
    let job = json!({ "kind": "health.prune_enqueue_keys", "args": {} });
    let mut expected = Vec::new();
    for (states, kept) in [
        (vec!["rojo=00f067aa0ba902b7, congo=t61rcWkgMzE"], Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")),
        (vec!["rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE"], Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")),
        (vec!["rojo=1", "rojo=2"], None),
        (vec!["of no use"], None),
    ] {
        let request = api.request(Method::POST, "/v1/jobs").header("traceparent", GIVEN);
        let request = states.iter().fold(request, |request, state| request.header("tracestate", *state));
        assert_eq!(answer(request.json(&job)).await.0, 201, "{states:?}");
        expected.push(Some(kept.map_or_else(|| GIVEN.to_string(), |kept| format!("{GIVEN} {kept}"))));
    }
    let alone = api.request(Method::POST, "/v1/jobs").header("tracestate", "rojo=1").json(&job);
    assert_eq!(answer(alone).await.0, 201);
    expected.push(None);
    let traces: Vec<Option<String>> =
        sqlx::query_scalar("select trace_parent from engine.job order by id").fetch_all(api.edge.pool()).await.expect("jobs can be read");
    assert_eq!(traces, expected);
}

#[tokio::test]
async fn a_webhooks_job_belongs_to_the_trace_of_its_delivery() {
    let api = Api::start(&[Scope::JobsRead]).await;
    for (id, header) in [("w-1", Some(GIVEN)), ("w-2", None)] {
        let delivery = api.edge.delivery("orders/create", id, format!(r#"{{"id":1,"order_number":1,"note":"{id}"}}"#));
        let delivery = header.into_iter().fold(delivery, |delivery, header| delivery.header("traceparent", header));
        let delivery = delivery.header("tracestate", "a=1");
        assert_eq!(delivery.send().await.expect("the process answers").status(), 200);
    }
    let traces: Vec<Option<String>> =
        sqlx::query_scalar("select trace_parent from engine.job order by id").fetch_all(api.edge.pool()).await.expect("jobs can be read");
    assert_eq!(traces, [Some(format!("{GIVEN} a=1")), None]);
}
