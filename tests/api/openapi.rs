//! What the server does is what it says of itself at `/v1/openapi.json`, and the other way round.

use std::collections::{BTreeSet, HashMap};

use engine::{Client, Job, NewJob};
use reqwest::Method;
use serde_json::{Value, json};
use web::api::{Scope, tokens};

use super::{
    Answer, Api,
    document::{Document, Operation},
    whole_answer,
};
use crate::support::{
    drain::run_kinds,
    kinds::{self, Fail, Talk},
};

const KEY: &str = "Idempotency-Key";

fn prune() -> Value {
    json!({ "kind": "health.prune_enqueue_keys", "args": {} })
}

/// A body that an operation takes.
fn body_of(path: &str) -> Value {
    match path {
        "/v1/jobs" => prune(),
        "/v1/events" => json!({ "name": "approval", "key": "7" }),
        _ => json!({}),
    }
}

/// A request, right unless it says otherwise.
#[derive(Clone)]
struct Asked<'a> {
    method: Method,
    path: &'a str,
    /// The job.
    id: &'a str,
    token: Option<&'a str>,
    key: Option<&'a str>,
    form: &'a str,
    body: String,
}

/// A server, and which operations answered with which statuses.
struct Tour {
    api: Api,
    seen: HashMap<(Method, String), BTreeSet<u16>>,
}

impl Tour {
    fn right<'a>(method: &Method, path: &'a str, id: &'a str, token: &'a str) -> Asked<'a> {
        Asked { method: method.clone(), path, id, token: Some(token), key: None, form: "application/json", body: body_of(path).to_string() }
    }

    async fn ask(&mut self, asked: Asked<'_>) -> Answer {
        let url = self.api.edge.url(&asked.path.replace("{id}", asked.id));
        let mut request = reqwest::Client::new().request(asked.method.clone(), url);
        if let Some(token) = asked.token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = asked.key {
            request = request.header(KEY, key);
        }
        if asked.method == Method::POST {
            request = request.header("content-type", asked.form).body(asked.body);
        }
        let answer = whole_answer(request).await;
        self.seen.entry((asked.method, asked.path.to_string())).or_default().insert(answer.status);
        answer
    }

    /// Asks, with a token for everything, and expects this status.
    async fn expect(&mut self, status: u16, method: &Method, path: &str, id: &str, key: Option<&str>, body: &Value) -> Value {
        let token = self.api.token.clone();
        let answer = self.ask(Asked { key, body: body.to_string(), ..Self::right(method, path, id, &token) }).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        answer.body
    }

    async fn post(&mut self, status: u16, path: &str, key: Option<&str>, body: &Value) -> Value {
        self.expect(status, &Method::POST, path, "", key, body).await
    }

    async fn token(&self, name: &str, scopes: &[Scope]) -> String {
        tokens::create(self.api.edge.pool(), name, scopes, "ada", None).await.expect("a token")
    }
}

fn id_of(answer: &Value) -> String {
    answer["id"].as_str().expect("an id").to_string()
}

/// What each operation does, in each way that it may.
async fn be_answered(tour: &mut Tour) {
    let later = json!({ "kind": "health.prune_enqueue_keys", "args": {}, "unique_key": "once", "limit_key": "shop:42",
        "run_at": "2100-01-01T00:00:00Z", "deadline": "2101-01-01T00:00:00Z" });
    let scheduled = id_of(&tour.post(201, "/v1/jobs", None, &later).await);
    tour.post(200, "/v1/jobs", None, &later).await;
    let many = json!({ "jobs": [prune(), prune()] });
    tour.post(201, "/v1/jobs", Some("many"), &many).await;
    tour.post(200, "/v1/jobs", Some("many"), &many).await;
    for status in [201, 200] {
        tour.post(status, "/v1/events", Some("event"), &body_of("/v1/events")).await;
    }
    let failed = ended_job(tour, &Fail { category: "validation".into(), times: 9 }).await;
    for id in [scheduled, failed] {
        tour.expect(200, &Method::GET, "/v1/jobs/{id}", &id, None, &Value::Null).await;
    }
    let talked = ended_job(tour, &Talk { lines: 2 }).await;
    let shown = tour.expect(200, &Method::GET, "/v1/jobs/{id}", &talked, None, &Value::Null).await;
    assert!(shown["progress"].is_object() && shown["log"][1].is_object() && shown["attempts"][0].is_object(), "{shown}");
    for path in ["/v1/kinds", "/v1/openapi.json"] {
        tour.expect(200, &Method::GET, path, "", None, &Value::Null).await;
    }
    let ready = id_of(&tour.post(201, "/v1/jobs", None, &prune()).await);
    let mut open = tour.api.edge.pool().begin().await.expect("a transaction");
    sqlx::query("select from engine.ready for update").execute(&mut *open).await.expect("their places are held");
    tour.expect(202, &Method::POST, "/v1/jobs/{id}/cancel", &ready, None, &json!({ "reason": "a mistake" })).await;
    open.rollback().await.expect("rolled back");
    for _ in ["cancelled", "already"] {
        tour.expect(200, &Method::POST, "/v1/jobs/{id}/cancel", &ready, None, &json!({})).await;
    }
}

/// A job that a worker has run to its end.
async fn ended_job<J: Job>(tour: &Tour, job: &J) -> String {
    let new = NewJob::of(job).expect("the arguments are JSON");
    let id = Client::new(tour.api.edge.pool().clone()).enqueue(&new).await.expect("enqueued").id.to_string();
    run_kinds(tour.api.edge.database(), kinds::kinds()).await;
    id
}

/// What an operation refuses by its shape: its token, its path, its body, its key.
async fn be_refused(tour: &mut Tour, operation: &Operation<'_>, id: &str) {
    let all = tour.api.token.clone();
    let right = Tour::right(&operation.method, operation.path, id, &all);
    if let Some(scope) = operation.scope() {
        let (only, others): (Vec<_>, Vec<_>) = Scope::ALL.into_iter().partition(|one| one.as_str() == scope);
        let named = |tokens| format!("{tokens} of {} {}", operation.method, operation.path);
        let (only, others) = (tour.token(&named("only"), &only).await, tour.token(&named("others"), &others).await);
        assert_eq!(tour.ask(Asked { token: None, ..right.clone() }).await.status, 401, "{}", operation.path);
        assert_eq!(tour.ask(Asked { token: Some(&others), ..right.clone() }).await.status, 403, "{}", operation.path);
        let allowed = tour.ask(Asked { token: Some(&only), ..right.clone() }).await.status;
        assert!((200..300).contains(&allowed), "{}: {allowed}", operation.path);
    }
    if operation.path.contains("{id}") {
        assert_eq!(tour.ask(Asked { id: "%F0", ..right.clone() }).await.status, 400);
        assert_eq!(tour.ask(Asked { id: "x", ..right.clone() }).await.status, 404);
    }
    if operation.method == Method::POST {
        let large = format!("\"{}\"", "x".repeat(1_100_000));
        for (form, body, status) in [("text/plain", "{}", 415), ("application/json", &*large, 413), ("application/json", "{", 422)] {
            assert_eq!(tour.ask(Asked { form, body: body.to_string(), ..right.clone() }).await.status, status, "{}", operation.path);
        }
    }
    let keyed = tour.ask(Asked { key: Some(""), ..right }).await;
    let is_read = keyed.body["detail"].as_str().is_some_and(|why| why.starts_with(KEY));
    assert_eq!(is_read, operation.reads(KEY), "{}: {}", operation.path, keyed.body);
}

/// What is refused for what was there before.
async fn be_refused_for_others(tour: &mut Tour) {
    let other = json!({ "kind": "orders.process_order", "args": { "inbox_id": "98880550-7158-44d4-b7cd-2c97c8a091b5" } });
    tour.post(409, "/v1/jobs", Some("many"), &other).await;
    tour.post(409, "/v1/events", Some("event"), &json!({ "name": "approval", "key": "7", "payload": 8 })).await;
    let pool = tour.api.edge.pool().clone();
    engine::store::queue::set_limit(&pool, "health", Some(1)).await.expect("set");
    sqlx::query("select engine.measure_figures(0)").execute(&pool).await.expect("measured");
    tour.post(429, "/v1/jobs", None, &prune()).await;
}

#[tokio::test]
async fn every_answer_is_described_and_every_described_answer_is_given() {
    let api = Api::start(&Scope::ALL).await;
    let document = Document::of(&api.edge.url("/").parse().expect("an address")).await;
    let mut tour = Tour { api, seen: HashMap::new() };
    be_answered(&mut tour).await;
    let id = id_of(&tour.post(201, "/v1/jobs", None, &prune()).await);
    for operation in document.operations() {
        be_refused(&mut tour, &operation, &id).await;
    }
    be_refused_for_others(&mut tour).await;
    tour.api.edge.pool().close().await;
    for operation in document.operations().into_iter().filter(|operation| operation.scope().is_some()) {
        tour.expect(503, &operation.method, operation.path, &id, None, &body_of(operation.path)).await;
    }
    for operation in document.operations() {
        // A body that does not come, or breaks off: see the tests of webhooks/body.rs.
        let by_connection: &[u16] = if operation.method == Method::POST { &[400, 408] } else { &[] };
        let mut seen = tour.seen.remove(&(operation.method.clone(), operation.path.to_string())).expect("it was asked for");
        seen.extend(by_connection);
        assert_eq!(operation.statuses(), seen, "{} {}", operation.method, operation.path);
    }
    assert!(tour.seen.is_empty(), "these are not described: {:?}", tour.seen);
}

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
        assert_eq!(api.post(&path.replace("{id}", "1"), &body).await.0, 422, "{n}");
    }
}

#[tokio::test]
async fn every_kind_is_described_and_so_is_every_operation() {
    let api = Api::start(&[Scope::JobsRead]).await;
    let (_, body) = api.get("/v1/kinds").await;
    let kinds = body["kinds"].as_array().expect("a list");
    assert_eq!(kinds.len(), jobs::kinds().names().len());
    for kind in kinds {
        assert_eq!(kind["schema"]["type"], "object", "{kind} has no schema");
        let name = kind["name"].as_str().expect("a name");
        let why = jobs::kinds().fit(name, "[]").expect_err("it takes objects");
        assert_eq!(why, format!("the arguments do not fit the schema of {name}: of type array, not object"));
    }
    let document = Document::of(&api.edge.url("/").parse().expect("an address")).await;
    let operations: BTreeSet<_> =
        document.operations().iter().map(|operation| format!("{} {}", operation.method, operation.path)).collect();
    let expected =
        ["POST /v1/jobs", "GET /v1/jobs/{id}", "POST /v1/jobs/{id}/cancel", "POST /v1/events", "GET /v1/kinds", "GET /v1/openapi.json"];
    assert_eq!(operations, BTreeSet::from(expected.map(String::from)));
    let references = document.references();
    assert!(references.iter().any(|reference| reference.contains("/$defs/")), "a kind's schema has parts");
    for reference in references {
        assert!(document.find(reference).is_some(), "{reference} is nowhere");
    }
    let of = |name: &str| document.find(&format!("#/components/schemas/{name}/properties"));
    assert!(of("orders.process_order").is_some_and(|properties| properties["inbox_id"].is_object()));
}
