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
/// Where a dead job is run again.
pub const REQUEUE: &str = "/v1/dead-letters/{job}/requeue";

pub fn prune() -> Value {
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
    query: &'a str,
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
        let (form, body) = ("application/json", body_of(path).to_string());
        Asked { method: method.clone(), path, query: "", id, token: Some(token), key: None, form, body }
    }

    async fn ask(&mut self, asked: Asked<'_>) -> Answer {
        let url = self.api.edge.url(&at(asked.path, asked.id));
        let mut request = reqwest::Client::new().request(asked.method.clone(), url + asked.query);
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

/// The path of this job.
pub fn at(path: &str, id: &str) -> String {
    path.replace("{id}", id).replace("{job}", id)
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
    for (id, path) in [&scheduled, &failed].into_iter().flat_map(|id| [(id, "/v1/jobs/{id}"), (id, "/v1/jobs/{id}/why")]) {
        tour.expect(200, &Method::GET, path, id, None, &Value::Null).await;
    }
    tour.expect(200, &Method::GET, "/v1/dead-letters", "", None, &Value::Null).await;
    for status in [201, 409] {
        tour.expect(status, &Method::POST, REQUEUE, &failed, None, &json!({})).await;
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
    if operation.path.contains('{') {
        assert_eq!(tour.ask(Asked { id: "%F0", ..right.clone() }).await.status, 400);
        assert_eq!(tour.ask(Asked { id: "x", ..right.clone() }).await.status, 404);
    }
    if operation.has_query() {
        assert_eq!(tour.ask(Asked { query: "?surprise=1", ..right.clone() }).await.status, 422, "{}", operation.path);
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

/// What is refused for what was there before, some of it of this dead job.
async fn be_refused_for_others(tour: &mut Tour, dead: &str) {
    let other = json!({ "kind": "orders.process_order", "args": { "inbox_id": "98880550-7158-44d4-b7cd-2c97c8a091b5" } });
    tour.post(409, "/v1/jobs", Some("many"), &other).await;
    tour.post(409, "/v1/events", Some("event"), &json!({ "name": "approval", "key": "7", "payload": 8 })).await;
    let pool = tour.api.edge.pool().clone();
    for queue in ["health", "default"] {
        engine::store::queue::set_limit(&pool, queue, Some(1)).await.expect("set");
    }
    sqlx::query("select engine.measure_figures(0)").execute(&pool).await.expect("measured");
    tour.post(429, "/v1/jobs", None, &prune()).await;
    tour.expect(429, &Method::POST, REQUEUE, dead, None, &json!({})).await;
}

#[tokio::test]
async fn every_answer_is_described_and_every_described_answer_is_given() {
    let api = Api::start(&Scope::ALL).await;
    let document = Document::of(&api.edge.url("/").parse().expect("an address")).await;
    let mut tour = Tour { api, seen: HashMap::new() };
    be_answered(&mut tour).await;
    let fail = Fail { category: "validation".into(), times: 9 };
    let (dead, other) = (ended_job(&tour, &fail).await, ended_job(&tour, &fail).await);
    let id = id_of(&tour.post(201, "/v1/jobs", None, &prune()).await);
    for operation in document.operations() {
        be_refused(&mut tour, &operation, if operation.path == REQUEUE { &dead } else { &id }).await;
    }
    be_refused_for_others(&mut tour, &other).await;
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
    let expected = [
        "POST /v1/jobs",
        "GET /v1/jobs/{id}",
        "GET /v1/jobs/{id}/why",
        "POST /v1/jobs/{id}/cancel",
        "GET /v1/dead-letters",
        "POST /v1/dead-letters/{job}/requeue",
        "POST /v1/events",
        "GET /v1/kinds",
        "GET /v1/openapi.json",
    ];
    assert_eq!(operations, BTreeSet::from(expected.map(String::from)));
    let references = document.references();
    assert!(references.iter().any(|reference| reference.contains("/$defs/")), "a kind's schema has parts");
    for reference in references {
        assert!(document.find(reference).is_some(), "{reference} is nowhere");
    }
    let of = |name: &str| document.find(&format!("#/components/schemas/{name}/properties"));
    assert!(of("orders.process_order").is_some_and(|properties| properties["inbox_id"].is_object()));
}
