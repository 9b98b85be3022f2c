//! Dead letters over HTTP: turned over, and run again.

use engine::{Client, Failure, Job, JobResult, Kinds, NewJob, Run};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use web::api::Scope;

use super::{Api, refusal};
use crate::support::{
    drain::run_kinds,
    kinds::{self, Fail},
};

const SCOPES: [Scope; 2] = [Scope::JobsRead, Scope::Operate];

/// A kind of the product that fails.
#[derive(Serialize, Deserialize)]
struct Prune {}

impl Job for Prune {
    const KIND: &'static str = "health.prune_enqueue_keys";
    const QUEUE: &'static str = "health";

    async fn run(&self, _: &mut Run) -> JobResult {
        Err(Failure::validation("on purpose"))
    }
}

/// Jobs that died of these categories, an hour after each other in the first hours of 2026.
async fn died(api: &Api, categories: &[&str]) -> Vec<String> {
    let client = Client::new(api.edge.pool().clone());
    let mut ids = Vec::new();
    for category in categories {
        let job = NewJob::of(&Fail { category: (*category).to_string(), times: 99 }).expect("the arguments are JSON").max_attempts(1);
        ids.push(client.enqueue(&job).await.expect("enqueued").id.to_string());
    }
    run_kinds(api.edge.database(), kinds::kinds()).await;
    let hours = "update raw_ops.dead_letter_queue d set created_at = timestamptz '2026-01-01T00:00:00Z' + make_interval(hours =>
        (select count(*)::integer from raw_ops.dead_letter_queue before where before.job_id < d.job_id))";
    sqlx::query(hours).execute(api.edge.pool()).await.expect("told apart");
    ids
}

async fn letters(api: &Api, query: &str) -> Value {
    let (status, page) = api.get(&format!("/v1/dead-letters{query}")).await;
    assert_eq!(status, 200, "{page}");
    page
}

/// The jobs of a page of letters.
fn jobs_of(page: &Value) -> Vec<String> {
    let letters = page["dead_letters"].as_array().expect("a list");
    letters.iter().map(|letter| letter["job_id"].as_str().expect("a job of this engine").to_string()).collect()
}

fn requeue(job: &str) -> String {
    format!("/v1/dead-letters/{job}/requeue")
}

#[tokio::test]
async fn dead_letters_are_turned_over_page_by_page_newest_first() {
    let api = Api::start(&SCOPES).await;
    let ids = died(&api, &["validation", "validation", "network", "validation", "network"]).await;
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    let (mut pages, mut after) = (Vec::new(), String::new());
    while pages.len() < 9 {
        let page = letters(&api, &format!("?limit=2{after}")).await;
        pages.push(jobs_of(&page));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(pages.concat(), newest_first);

    let whole = letters(&api, "").await;
    assert_eq!((jobs_of(&whole), &whole["next"]), (newest_first, &Value::Null));
    let mut newest = whole["dead_letters"][0].clone();
    assert!(newest["id"].take().is_string() && newest["fingerprint"].take().is_string(), "{newest}");
    let expected = json!({ "id": null, "job_id": ids[4], "kind": "test.fail", "queue": "default", "category": "network",
        "error": "failed on purpose, run 1", "fingerprint": null, "attempts": 1, "died_at": "2026-01-01T04:00:00Z" });
    assert_eq!(newest, expected);
}

#[tokio::test]
async fn dead_letters_are_found_by_kind_category_and_time() {
    let api = Api::start(&SCOPES).await;
    let ids = died(&api, &["validation", "network", "validation"]).await;
    for (query, found) in [
        ("?category=validation", vec![&ids[2], &ids[0]]),
        ("?kind=test.fail&category=network", vec![&ids[1]]),
        ("?kind=test.no_op", vec![]),
        ("?since=2026-01-01T01:00:00Z", vec![&ids[2], &ids[1]]),
        ("?since=2026-01-01T01:00:01Z&limit=1", vec![&ids[2]]),
    ] {
        assert_eq!(jobs_of(&letters(&api, query).await).iter().collect::<Vec<_>>(), found, "{query}");
    }
    let unread = "Failed to deserialize query string: ";
    for (query, words) in [
        ("?limit=0", "limit: a number from 1 to 100"),
        ("?limit=101", "limit: a number from 1 to 100"),
        ("?limit=-1", unread),
        ("?since=soon", unread),
        ("?knd=test.fail", unread),
        ("?after=soon", "after: send what a page answered"),
        ("?kind=%00", "invalid byte sequence"),
    ] {
        let why = refusal(api.get(&format!("/v1/dead-letters{query}")).await, 422);
        assert!(why.starts_with(words), "{query}: {why}");
    }
}

#[tokio::test]
async fn a_dead_job_runs_again_once_and_who_asked_is_known_by_his_token() {
    let api = Api::start(&SCOPES).await;
    let dead = died(&api, &["validation"]).await.remove(0);
    let (status, body) = api.post(&requeue(&dead), &json!({})).await;
    assert_eq!(status, 201, "{body}");
    let again = body["job_id"].as_str().expect("an id");
    let (_, shown) = api.get(&format!("/v1/jobs/{again}")).await;
    assert_eq!((&shown["state"], &shown["requeued_from"]), (&json!("ready"), &body["requeued"]), "{shown}");
    let kept: (bool, String, String) = sqlx::query_as("select resolved, resolved_by, resolution from raw_ops.dead_letter_queue")
        .fetch_one(api.edge.pool())
        .await
        .expect("one letter");
    assert_eq!(kept, (true, "test over HTTP".into(), "requeued".into()));
    assert_eq!(letters(&api, "").await, json!({ "dead_letters": [], "next": null }));

    let why = refusal(api.post(&requeue(&dead), &json!({})).await, 409);
    assert_eq!(why, format!("job {dead} runs again already, as job {again}"), "whose answer was lost is told");
    let why = refusal(api.post(&requeue(&dead), &json!({ "args": {} })).await, 403);
    assert!(why.starts_with("args: ") && why.contains("jobs:write"), "{why}");
    for missing in [again, "4711"] {
        assert_eq!(refusal(api.post(&requeue(missing), &json!({})).await, 404), format!("there is no dead letter of job {missing}"));
    }
}

#[tokio::test]
async fn a_dead_job_runs_again_with_arguments_that_fit_and_only_while_its_key_is_free() {
    let api = Api::start(&[Scope::JobsWrite, Scope::Operate]).await;
    let client = Client::new(api.edge.pool().clone());
    let job = NewJob::of(&Prune {}).expect("the arguments are JSON").unique_key("once");
    let dead = client.enqueue(&job).await.expect("enqueued").id.to_string();
    run_kinds(api.edge.database(), Kinds::new().with::<Prune>()).await;

    let why = refusal(api.post(&requeue(&dead), &json!({ "args": [] })).await, 422);
    assert_eq!(why, "args: the arguments do not fit the schema of health.prune_enqueue_keys: of type array, not object");
    let mut open = api.edge.pool().begin().await.expect("a transaction");
    let live = engine::enqueue_in(&mut open, &job).await.expect("enqueued").id;
    let why = refusal(api.post(&requeue(&dead), &json!({})).await, 503);
    assert!(why.starts_with("a transaction that is still open"), "{why}");
    open.commit().await.expect("committed");
    let why = refusal(api.post(&requeue(&dead), &json!({})).await, 409);
    assert!(why.ends_with(&format!("stays: job {live} holds its unique key and is still alive")), "{why}");

    engine::store::cancel_request::cancel(api.edge.pool(), live, "ann", None).await.expect("cancelled");
    assert_eq!(api.post(&requeue(&dead), &json!({ "args": {} })).await.0, 201);
    let how: String =
        sqlx::query_scalar("select resolution from raw_ops.dead_letter_queue").fetch_one(api.edge.pool()).await.expect("one letter");
    assert_eq!(how, "requeued with other arguments");
}
