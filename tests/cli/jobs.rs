//! `rawops jobs`: list, show, cancel.

use engine::{Client, JobId, NewJob};
use serde_json::json;

use super::program::rawops;
use crate::support::{
    Database,
    kinds::{self, Fail, NoOp},
    run_all,
};

async fn enqueue(db: &Database, job: &NewJob) -> JobId {
    Client::new(db.pool().clone()).enqueue(job).await.expect("the queue takes the job").id
}

fn no_op() -> NewJob {
    NewJob::of(&NoOp { n: 7 }).expect("the arguments are JSON")
}

/// One job a state, as far as no worker runs.
async fn one_of_each(db: &Database) -> [JobId; 5] {
    let completed = enqueue(db, &no_op()).await;
    let dead = enqueue(db, &NewJob::of(&Fail { category: "validation".into(), times: 9 }).expect("the arguments are JSON")).await;
    run_all(db, kinds::kinds()).await;
    let cancelled = enqueue(db, &no_op()).await;
    rawops(&db.url(), &["jobs", "cancel", &cancelled.to_string(), "--reason", "not wanted"]).await.ok();
    let ready = enqueue(db, &no_op().queue("slow")).await;
    let scheduled = enqueue(db, &no_op().run_at("2100-01-01T00:00:00Z".parse().expect("a moment"))).await;
    [completed, dead, cancelled, ready, scheduled]
}

#[tokio::test]
async fn list_finds_jobs_by_state_kind_and_queue() {
    let db = Database::new().await;
    let [completed, dead, cancelled, ready, scheduled] = one_of_each(&db).await;
    let list = async |words: &[&str]| {
        let all: Vec<&str> = ["jobs", "list", "--json"].iter().chain(words).copied().collect();
        let jobs = rawops(&db.url(), &all).await.ok().json();
        jobs.as_array().expect("a list").iter().map(|job| job["id"].as_str().expect("ids are strings").to_string()).collect::<Vec<_>>()
    };
    let named = |ids: &[JobId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(list(&[]).await, named(&[scheduled, ready, cancelled, dead, completed]), "newest first");
    assert_eq!(list(&["--limit", "2"]).await, named(&[scheduled, ready]));
    for (state, id) in [("completed", completed), ("dead", dead), ("cancelled", cancelled), ("ready", ready), ("scheduled", scheduled)] {
        assert_eq!(list(&["--state", state]).await, named(&[id]), "{state}");
    }
    assert!(list(&["--state", "running"]).await.is_empty());
    assert_eq!(list(&["--kind", "test.fail"]).await, named(&[dead]));
    assert_eq!(list(&["--queue", "slow"]).await, named(&[ready]));
    assert!(list(&["--queue", "slow", "--state", "scheduled"]).await.is_empty());
}

#[tokio::test]
async fn list_prints_a_table_for_people() {
    let db = Database::new().await;
    let [_, dead, ..] = one_of_each(&db).await;
    let table = rawops(&db.url(), &["jobs", "list"]).await.ok().out;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["ID", "STATE", "KIND", "QUEUE", "ATTEMPT", "CREATED", "NOTE"]);
    assert_eq!(lines.len(), 6, "{table}");
    assert!(lines[1].contains("scheduled") && lines[1].ends_with("runs at 2100-01-01 00:00:00Z"), "{table}");
    let line = lines.iter().find(|line| line.starts_with(&dead.to_string())).expect("the dead job is listed");
    assert!(line.ends_with("failed on purpose, run 1"), "{table}");
}

#[tokio::test]
async fn show_tells_what_became_of_a_job() {
    let db = Database::new().await;
    let [completed, dead, ..] = one_of_each(&db).await;
    let shown = rawops(&db.url(), &["jobs", "show", &completed.to_string(), "--json"]).await.ok().json();
    assert_eq!((&shown["id"], &shown["state"], &shown["args"]), (&json!(completed.to_string()), &json!("completed"), &json!({ "n": 7 })));
    assert_eq!(shown["attempts"].as_array().map(Vec::len), Some(1));
    assert_eq!((&shown["attempts"][0]["outcome"], &shown["attempts"][0]["output"]), (&json!("completed"), &json!({ "n": 7 })));
    assert!(shown["attempts"][0]["worker_id"].is_string());

    let shown = rawops(&db.url(), &["jobs", "show", &dead.to_string()]).await.ok().out;
    assert!(shown.contains("test.fail in queue default, priority 5"), "{shown}");
    assert!(shown.contains("validation: failed on purpose, run 1"), "{shown}");
}

#[tokio::test]
async fn show_tells_the_deadline_and_which_policy_decided() {
    let db = Database::new().await;
    let fails_once = NewJob::of(&Fail { category: "conflict".into(), times: 1 }).expect("the arguments are JSON");
    let id = enqueue(&db, &fails_once.deadline("2100-01-01T00:00:00Z".parse().expect("a moment"))).await.to_string();
    sqlx::query("update engine.retry_config set version = 2 where error_category = 'conflict'").execute(db.pool()).await.expect("edited");
    run_all(&db, kinds::kinds()).await;
    let shown = rawops(&db.url(), &["jobs", "show", &id]).await.ok().out;
    assert!(shown.contains("\ndeadline      2100-01-01 00:00:00Z\n"), "{shown}");
    let head = shown.lines().find(|line| line.starts_with("ATTEMPT")).expect("attempts are listed");
    assert_eq!(head.split_whitespace().nth(5), Some("POLICY"), "{shown}");
    let failed = shown.lines().find(|line| line.starts_with("1 ")).expect("the first attempt is listed");
    // Its number, how it ended, the day and the time, how long it took with the unit, and the worker come before.
    assert_eq!(failed.split_whitespace().nth(7), Some("2"), "{shown}");

    let plain = enqueue(&db, &no_op()).await.to_string();
    let shown = rawops(&db.url(), &["jobs", "show", &plain]).await.ok().out;
    assert!(!shown.contains("deadline"), "{shown}");
}

#[tokio::test]
async fn a_job_that_does_not_exist_is_said_to_be_none() {
    let db = Database::new().await;
    for verb in ["show", "cancel"] {
        assert_eq!(rawops(&db.url(), &["jobs", verb, "4711"]).await.refusal(1), "there is no job 4711");
    }
}

#[tokio::test]
async fn cancel_says_what_it_met_and_keeps_who_and_why() {
    let db = Database::new().await;
    let id = enqueue(&db, &no_op()).await.to_string();
    let answer = rawops(&db.url(), &["jobs", "cancel", &id, "--reason", "a mistake"]).await.ok();
    assert_eq!(answer.out, format!("job {id} is cancelled\n"));
    let again = rawops(&db.url(), &["jobs", "cancel", &id, "--json"]).await.ok().json();
    assert_eq!(again, json!({ "answer": "already", "state": "cancelled" }));
    let shown = rawops(&db.url(), &["jobs", "show", &id, "--json"]).await.ok().json();
    assert_eq!(shown["error"], "cancelled by ada on the command line: a mistake");
}
