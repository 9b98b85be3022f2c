//! Enqueue, ask and cancel over HTTP.

use reqwest::Method;
use serde_json::{Value, json};
use web::api::Scope;

use super::{Api, answer, refusal};
use crate::support::ledger::count;

const BOTH: [Scope; 2] = [Scope::JobsRead, Scope::JobsWrite];

fn prune() -> Value {
    json!({ "kind": "health.prune_enqueue_keys", "args": {} })
}

#[tokio::test]
async fn a_job_is_enqueued_as_its_kind_says_and_can_be_asked_for() {
    let api = Api::start(&BOTH).await;
    let (status, body) = api.post("/v1/jobs", &prune()).await;
    assert_eq!((status, &body["created"]), (201, &json!(true)), "{body}");
    let (status, shown) = api.get(&format!("/v1/jobs/{}", body["id"].as_str().expect("an id"))).await;
    assert_eq!((status, &shown["state"], &shown["queue"]), (200, &json!("ready"), &json!("health")), "{shown}");

    let later = json!({ "kind": "health.prune_enqueue_keys", "args": {}, "queue": "slow", "priority": 9, "max_attempts": 2,
        "run_at": "2100-01-01T00:00:00Z", "unique_key": "once" });
    let (_, body) = api.post("/v1/jobs", &later).await;
    let (_, shown) = api.get(&format!("/v1/jobs/{}", body["id"].as_str().expect("an id"))).await;
    assert_eq!((&shown["state"], &shown["queue"], &shown["priority"]), (&json!("scheduled"), &json!("slow"), &json!(9)));
    let (status, again) = api.post("/v1/jobs", &later).await;
    assert_eq!((status, &again["id"], &again["created"]), (200, &body["id"], &json!(false)), "its unique key is taken");
}

#[tokio::test]
async fn jobs_are_unique_replaced_and_debounced_over_http() {
    let api = Api::start(&BOTH).await;
    let send = async |options: Value| {
        let mut job = prune();
        job.as_object_mut().expect("an object").extend(options.as_object().expect("an object").clone());
        api.post("/v1/jobs", &job).await
    };
    let (_, first) = send(json!({ "unique_args": true, "unique_for_seconds": 3600, "deadline": "2100-01-01T00:00:00Z" })).await;
    let (status, again) = send(json!({ "unique_args": true })).await;
    assert_eq!((status, &again["id"]), (200, &first["id"]));
    let (status, second) = send(json!({ "unique_args": true, "replace": true })).await;
    assert_eq!((status, &second["created"]), (201, &json!(true)), "{second}");
    let (_, shown) = api.get(&format!("/v1/jobs/{}", first["id"].as_str().expect("an id"))).await;
    assert_eq!((&shown["state"], &shown["deadline"]), (&json!("cancelled"), &json!("2100-01-01T00:00:00Z")), "{shown}");

    let debounce = json!({ "unique_key": "d", "debounce": { "wait_seconds": 60, "at_most_seconds": 300 } });
    let (_, early) = send(debounce.clone()).await;
    let (_, late) = send(debounce).await;
    assert_ne!(early["id"], late["id"]);
    assert_eq!(count(api.edge.pool(), "select count(*) from engine.scheduled").await, 1);
    let (status, refused) = send(json!({ "replace": true })).await;
    assert_eq!(status, 422, "{refused}");
}

#[tokio::test]
async fn a_job_counts_against_the_limit_of_the_key_that_its_request_names() {
    let api = Api::start(&BOTH).await;
    let mut job = prune();
    job["limit_key"] = json!("shop:42");
    let (status, body) = api.post("/v1/jobs", &job).await;
    assert_eq!(status, 201, "{body}");
    let (_, shown) = api.get(&format!("/v1/jobs/{}", body["id"].as_str().expect("an id"))).await;
    assert_eq!((&shown["state"], &shown["limit_key"]), (&json!("waiting"), &json!("shop:42")), "{shown}");
    let (_, many) = api.post("/v1/jobs", &json!({ "jobs": [job, prune()] })).await;
    assert_eq!(many["jobs"].as_array().map(Vec::len), Some(2), "{many}");
    assert_eq!(count(api.edge.pool(), "select count(*) from engine.waiting where limit_key = 'shop:42'").await, 2);
}

#[tokio::test]
async fn a_full_queue_answers_429_and_when_to_try_again() {
    let api = Api::start(&BOTH).await;
    let pool = api.edge.pool();
    let (_, first) = api.post("/v1/jobs", &prune()).await;
    assert_eq!((&first["queue_depth"], &first["queue_age_ms"]), (&json!(0), &json!(0)), "{first}");
    engine::store::queue::set_limit(pool, "health", Some(1)).await.expect("set");
    sqlx::query("select engine.measure_figures(0)").execute(pool).await.expect("measured");
    let answer = api.request(Method::POST, "/v1/jobs").json(&prune()).send().await.expect("answered");
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].as_bytes()), (429, &b"2"[..]));
    let why = refusal(api.post("/v1/jobs", &json!({ "jobs": [prune(), prune()] })).await, 429);
    assert_eq!(why, "queue health is full: 1 jobs of it are ready, and its limit is 1");
    assert_eq!(count(pool, "select count(*) from engine.job").await, 1);
}

#[tokio::test]
async fn requests_make_no_lane_beyond_ten_thousand() {
    let api = Api::start(&BOTH).await;
    let of = |queue: &str, priority: u8| json!({ "kind": "health.prune_enqueue_keys", "args": {}, "queue": queue, "priority": priority });
    assert_eq!(api.post("/v1/jobs", &of("slow", 5)).await.0, 201);
    let lanes = "insert into engine.lane (queue, kind, priority) select 'queue ' || n, 'any', 5 from generate_series(1, 10000) n";
    sqlx::query(lanes).execute(api.edge.pool()).await.expect("lanes of others");
    for other in [of("another", 5), of("slow", 4)] {
        let why = refusal(api.post("/v1/jobs", &other).await, 422);
        assert!(why.ends_with("leave `queue` out, or name one that is used"), "{why}");
    }
    let why = refusal(api.post("/v1/jobs", &json!({ "jobs": [prune(), of("another", 5)] })).await, 422);
    assert!(why.starts_with("queue another: "), "{why}");
    let allowed = json!({ "jobs": [prune(), of("slow", 5), { "kind": "health.prune_enqueue_keys", "args": {}, "priority": 1 }] });
    assert_eq!(api.post("/v1/jobs", &allowed).await.0, 201, "lanes that are there, and others of the kind's own queue");
    assert_eq!(count(api.edge.pool(), "select count(*) from engine.job").await, 4);
}

#[tokio::test]
async fn a_request_that_is_sent_again_with_its_key_makes_no_second_job() {
    let api = Api::start(&BOTH).await;
    let send =
        async |key: &str, body: Value| answer(api.request(Method::POST, "/v1/jobs").header("Idempotency-Key", key).json(&body)).await;
    let (first, again) = (send("a", prune()).await, send("a", prune()).await);
    assert_eq!((first.0, again.0, &first.1["id"]), (201, 200, &again.1["id"]));
    let many = json!({ "jobs": [prune(), prune()] });
    let (first, again) = (send("b", many.clone()).await, send("b", many).await);
    assert_eq!((first.0, again.0, &first.1["jobs"][1]["id"]), (201, 200, &again.1["jobs"][1]["id"]));
    assert_eq!(count(api.edge.pool(), "select count(*) from engine.job").await, 3);
    let other = json!({ "kind": "orders.process_order", "args": { "inbox_id": "98880550-7158-44d4-b7cd-2c97c8a091b5" } });
    assert!(refusal(send("a", other).await, 409).starts_with("idempotency key a was used before"));
    for (key, jobs) in [("b", 1), ("b", 3), ("a", 2)] {
        let why = refusal(send(key, json!({ "jobs": vec![prune(); jobs] })).await, 409);
        assert_eq!(why, format!("idempotency key {key} was used before for another number of jobs: use a new key"));
    }
    refusal(send("b", prune()).await, 409);
    assert_eq!(count(api.edge.pool(), "select count(*) from engine.job").await, 3);
    for (n, key) in ["b 0", "b 1"].into_iter().enumerate() {
        assert_eq!(send(key, prune()).await.0, 201, "no key of a list is another request's");
        assert_eq!(count(api.edge.pool(), "select count(*) from engine.job").await, 4 + n as i64);
    }
    // A list that was sent before lists had the request's own key, and two requests of a job each that look like one.
    let before = "update engine.enqueue_key set key = case key when 'b' then 'old 0' else 'old 1' end where key in ('b', 'b · 1')";
    sqlx::query(before).execute(api.edge.pool()).await.expect("renamed");
    sqlx::raw_sql(include_str!("../../migrations/0230_list_keys.sql")).execute(api.edge.pool()).await.expect("applied");
    let keys: Vec<String> =
        sqlx::query_scalar("select key from engine.enqueue_key order by 1").fetch_all(api.edge.pool()).await.expect("keys");
    assert_eq!(keys, ["a", "b 0", "b 1", "old", "old · 1"]);
    engine::store::queue::set_limit(api.edge.pool(), "health", Some(1)).await.expect("set");
    sqlx::query("select engine.measure_figures(0)").execute(api.edge.pool()).await.expect("measured");
    assert_eq!(send("a", prune()).await.0, 200, "what is known is answered, however full its queue is");
    refusal(send("new", prune()).await, 429);
}

#[tokio::test]
async fn of_requests_with_one_key_at_one_time_one_makes_its_job() {
    let api = std::sync::Arc::new(Api::start(&BOTH).await);
    for (key, alike) in [("alike", true), ("not alike", false)] {
        let requests: Vec<_> = (0..8)
            .map(|n| {
                let (api, inbox_id) = (api.clone(), format!("98880550-7158-44d4-b7cd-{:012}", if alike { 0 } else { n }));
                let body = json!({ "kind": "orders.process_order", "args": { "inbox_id": inbox_id } });
                tokio::spawn(
                    async move { answer(api.request(Method::POST, "/v1/jobs").header("Idempotency-Key", key).json(&body)).await.0 },
                )
            })
            .collect();
        let mut answers = Vec::new();
        for request in requests {
            answers.push(request.await.expect("no panic"));
        }
        answers.sort_unstable();
        let expected = if alike { [200, 200, 200, 200, 200, 200, 200, 201] } else { [201, 409, 409, 409, 409, 409, 409, 409] };
        assert_eq!(answers, expected);
    }
    assert_eq!(count(api.edge.pool(), "select count(*) from engine.job").await, 2);
}

#[tokio::test]
async fn of_a_job_and_a_list_with_one_key_at_one_time_one_is_made() {
    let api = std::sync::Arc::new(Api::start(&BOTH).await);
    for key in 0..10 {
        let requests: Vec<_> = (0..4)
            .map(|n| {
                let (api, body) = (api.clone(), if n < 2 { prune() } else { json!({ "jobs": vec![prune(); n] }) });
                let request = api.request(Method::POST, "/v1/jobs").header("Idempotency-Key", format!("k{key}")).json(&body);
                tokio::spawn(async move { answer(request).await })
            })
            .collect();
        let mut answers = Vec::new();
        for request in requests {
            answers.push(request.await.expect("no panic").0);
        }
        let of = |status: u16| answers.iter().filter(|answer| **answer == status).count();
        assert_eq!(of(201), 1, "{answers:?}");
        assert_eq!(of(200) + of(409), 3, "{answers:?}");
        assert_eq!(of(200), usize::from(answers[..2].contains(&201)), "the two that are alike, and no others: {answers:?}");
    }
    let keys = "select count(*) from engine.job j where not exists (select from engine.enqueue_key k where k.job_id = j.id)";
    assert_eq!(count(api.edge.pool(), keys).await, 0);
}

#[tokio::test]
async fn many_jobs_are_enqueued_together_or_not_at_all() {
    let api = Api::start(&BOTH).await;
    let bad = json!({ "jobs": [prune(), { "kind": "orders.process_order", "args": { "order": 1 } }] });
    let why = refusal(api.post("/v1/jobs", &bad).await, 422);
    assert_eq!(why, "jobs[1]: the arguments do not fit the schema of orders.process_order: lacks inbox_id");
    assert_eq!(count(api.edge.pool(), "select count(*) from engine.job").await, 0);
    for wrong in [json!({ "jobs": [] }), json!({ "jobs": vec![prune(); 1001] })] {
        assert_eq!(refusal(api.post("/v1/jobs", &wrong).await, 422), "jobs: send from 1 to 1000 at a time");
    }
}

#[tokio::test]
async fn a_wrong_job_is_refused_with_what_is_wrong() {
    let api = Api::start(&BOTH).await;
    for (change, words) in [
        (json!({ "kind": "orders.forgotten" }), "this program knows no kind orders.forgotten"),
        (json!({ "priority": 10 }), "priority: a number from 0, which runs first, to 9"),
        (json!({ "max_attempts": 0 }), "max_attempts: a number from 1"),
        (json!({ "queue": "" }), "queue \"\": a name has 1 to 500 bytes, no control character, and no blank at either end"),
        (json!({ "queue": "a\nb" }), "queue \"a\\nb\": a name has"),
        (json!({ "limit_key": " a" }), "limit key \" a\": a name has"),
        (json!({ "args": [] }), "the arguments do not fit the schema of health.prune_enqueue_keys: of type array, not object"),
        (json!({ "args": null }), "the arguments do not fit the schema of health.prune_enqueue_keys: of type null, not object"),
        (
            json!({ "kind": "orders.process_order", "args": ["98880550-7158-44d4-b7cd-2c97c8a091b5"] }),
            "the arguments do not fit the schema",
        ),
        (json!({ "runat": "now" }), "the body: unknown field `runat`"),
        (json!({ "run_at": "soon" }), "the body: "),
    ] {
        let mut job = prune();
        job.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let why = refusal(api.post("/v1/jobs", &job).await, 422);
        assert!(why.starts_with(words), "{why}");
    }
    let nul = json!({ "kind": "health.prune_enqueue_keys", "args": { "name": "a\u{0}b" } });
    assert_eq!(api.post("/v1/jobs", &nul).await.0, 422, "jsonb takes no NUL");
    for (endless, words) in [("unique_key", "index"), ("queue", "a name has 1 to 500 bytes"), ("limit_key", "a name has 1 to 500 bytes")] {
        let mut job = prune();
        job[endless] = "x".repeat(900_000).into();
        let why = refusal(api.post("/v1/jobs", &job).await, 422);
        assert!(why.contains(words), "to send it again would be in vain: {why}");
    }
    let nameless = json!(["health.prune_enqueue_keys", {}, null, null, null, null, null, false, null, false, false, null, null]);
    for body in [nameless.clone(), json!({ "jobs": [nameless] }), json!("x"), json!(null)] {
        assert!(
            refusal(api.post("/v1/jobs", &body).await, 422).ends_with("send a job as an object, or several in the list `jobs`"),
            "{body}"
        );
    }
    let large = json!({ "kind": "health.prune_enqueue_keys", "args": { "name": "x".repeat(2 << 20) } });
    assert!(refusal(api.post("/v1/jobs", &large).await, 413).contains("1 MiB"));
    assert_eq!(count(api.edge.pool(), "select count(*) from engine.job").await, 0);
}

#[tokio::test]
async fn arguments_are_held_to_the_schema_of_their_kind_and_not_repeated() {
    let api = Api::start(&BOTH).await;
    let long = "Ada Lovelace ".repeat(10_000);
    for (kind, args, words) in [
        ("orders.process_order", json!({ "inbox_id": long }), "schema of orders.process_order: /inbox_id: not of the format uuid"),
        ("orders.process_order", json!({ "inbox_id": 7 }), "schema of orders.process_order: /inbox_id: of type number, not string"),
        ("monitors.run_monitor", json!({ "check": long }), "schema of monitors.run_monitor: /check: none of \"order_ingestion_slo\", "),
        ("packing.plan_pack_day", json!({ "pack_day": "2026-02-30" }), "decode as packing.plan_pack_day: input is out of range"),
    ] {
        let why = refusal(api.post("/v1/jobs", &json!({ "kind": kind, "args": args })).await, 422);
        assert!(why.contains(words) && !why.contains("Ada") && why.len() < 400, "{why}");
    }
    let right = json!({ "kind": "packing.plan_pack_day", "args": { "pack_day": "2026-02-28" } });
    assert_eq!(api.post("/v1/jobs", &right).await.0, 201);
    assert_eq!(count(api.edge.pool(), "select count(*) from engine.job").await, 1);
}

#[tokio::test]
async fn every_error_is_a_sentence_in_one_form() {
    let api = Api::start(&BOTH).await;
    let json = ("content-type", "application/json");
    let large = format!("\"{}\"", "x".repeat(2 << 20));
    for (method, path, kind, body, status, words) in [
        (Method::GET, "/v1/jobs/%F0", json, "", 400, "Invalid URL: Invalid UTF-8 in `id`"),
        (Method::GET, "/v1/nothing", json, "", 404, "there is nothing at this path"),
        (Method::POST, "/v1", json, "", 404, "there is nothing at this path"),
        (Method::GET, "/v1/jobs/x", json, "", 404, "x is no job's id"),
        (Method::DELETE, "/v1/jobs", json, "", 405, "DELETE is not what can be done here"),
        (Method::POST, "/v1/jobs", json, &large, 413, "the body is larger than"),
        (Method::POST, "/v1/jobs", ("content-type", "text/plain"), "{}", 415, "the body is not declared"),
        (Method::POST, "/v1/jobs", json, "{", 422, "the body: "),
        (Method::POST, "/v1/jobs/%F0/cancel", json, "{}", 400, "Invalid URL: Invalid UTF-8 in `id`"),
    ] {
        let request = api.request(method.clone(), path).header(kind.0, kind.1).body(body.to_string());
        let answer = request.send().await.expect("answered");
        let form = answer.headers()["content-type"].to_str().expect("text").to_string();
        let allow = answer.headers().contains_key("allow");
        let said = (answer.status().as_u16(), answer.json().await.expect("JSON"));
        assert_eq!(form, "application/problem+json", "{method} {path}");
        let why = refusal(said, status);
        assert!(why.starts_with(words), "{method} {path}: {why}");
        assert_eq!(allow, status == 405, "which methods there are");
    }
}

#[tokio::test]
async fn a_job_that_waits_is_cancelled_and_one_that_is_not_there_is_not_found() {
    let api = Api::start(&BOTH).await;
    let (_, body) = api.post("/v1/jobs", &prune()).await;
    let path = format!("/v1/jobs/{}/cancel", body["id"].as_str().expect("an id"));
    let reason = json!({ "reason": "a mistake" });
    assert_eq!(api.post(&path, &reason).await, (200, json!({ "answer": "cancelled" })));
    assert_eq!(api.post(&path, &reason).await, (200, json!({ "answer": "already", "state": "cancelled" })));
    for missing in ["/v1/jobs/999999999/cancel", "/v1/jobs/nonsense/cancel"] {
        refusal(api.post(missing, &reason).await, 404);
    }
    assert_eq!(refusal(api.get("/v1/jobs/999999999").await, 404), "there is no job 999999999");
}
