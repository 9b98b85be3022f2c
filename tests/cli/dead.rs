//! `rawops dead`: list, show, requeue, discard.

use engine::{Client, NewJob};
use serde_json::{Value, json};

use super::program::rawops;
use crate::support::{
    Database,
    kinds::{self, Fail},
    run_all,
};

/// Dead letters of jobs that failed, one a category, oldest first.
async fn letters(db: &Database, categories: &[&str]) -> Vec<String> {
    for category in categories {
        let job = NewJob::of(&Fail { category: (*category).into(), times: 1 }).expect("the arguments are JSON").max_attempts(1);
        Client::new(db.pool().clone()).enqueue(&job).await.expect("the queue takes the job");
        run_all(db, kinds::kinds()).await;
    }
    let mut ids: Vec<String> = list(db, &[]).await.iter().map(|letter| letter["id"].as_str().expect("an id").to_string()).collect();
    ids.reverse();
    ids
}

async fn list(db: &Database, words: &[&str]) -> Vec<Value> {
    let all: Vec<&str> = ["dead", "list", "--json"].iter().chain(words).copied().collect();
    rawops(&db.url(), &all).await.ok().json().as_array().expect("a list").clone()
}

#[tokio::test]
async fn list_and_show_tell_why_a_job_died() {
    let db = Database::new().await;
    assert_eq!(rawops(&db.url(), &["dead", "list"]).await.ok().out, "no dead letters\n");
    let ids = letters(&db, &["validation", "network"]).await;
    let table = rawops(&db.url(), &["dead", "list"]).await.ok().out;
    assert!(table.lines().count() == 3 && table.contains("test.fail") && table.contains("failed on purpose, run 1"), "{table}");
    assert_eq!(list(&db, &["--category", "network"]).await.len(), 1);
    assert!(list(&db, &["--kind", "test.no_op"]).await.is_empty());

    let shown = rawops(&db.url(), &["dead", "show", &ids[0], "--json"]).await.ok().json();
    assert_eq!((&shown["category"], &shown["topic"], &shown["resolved"]), (&json!("validation"), &json!("test.fail"), &json!(false)));
    assert!(shown["job_id"].is_string(), "ids are strings: {shown}");
    let shown = rawops(&db.url(), &["dead", "show", &ids[0]]).await.ok().out;
    assert!(shown.contains("category      validation\n"), "{shown}");
}

#[tokio::test]
async fn a_requeued_letter_is_a_new_job_and_resolved() {
    let db = Database::new().await;
    let ids = letters(&db, &["validation"]).await;
    let answer = rawops(&db.url(), &["dead", "requeue", &ids[0], "--json"]).await.ok().json();
    let job = answer["job_id"].as_str().expect("ids are strings").to_string();
    let shown = rawops(&db.url(), &["jobs", "show", &job, "--json"]).await.ok().json();
    assert_eq!((&shown["state"], &shown["attempt"], &shown["requeued_from"]), (&json!("ready"), &json!(1), &json!(ids[0])));
    let resolved = rawops(&db.url(), &["dead", "show", &ids[0]]).await.ok().out;
    assert!(resolved.contains("requeued, by ada on the command line") && resolved.contains(&format!("job {job}\n")), "{resolved}");
    assert!(list(&db, &[]).await.is_empty());
    assert_eq!(list(&db, &["--resolved"]).await.len(), 1);
}

#[tokio::test]
async fn a_resolved_letter_stays_resolved() {
    let db = Database::new().await;
    let ids = letters(&db, &["validation"]).await;
    let put_away = rawops(&db.url(), &["dead", "discard", &ids[0], "--reason", "a test order"]).await.ok();
    assert_eq!(put_away.out, format!("dead letter {} is discarded\n", ids[0]));
    for words in [vec!["dead", "requeue", &ids[0]], vec!["dead", "discard", &ids[0], "--reason", "again"]] {
        let sentence = rawops(&db.url(), &words).await.refusal(1);
        assert_eq!(sentence, format!("dead letter {} is resolved already: discarded: a test order", ids[0]));
    }
    let nobody = "00000000-0000-0000-0000-000000000000";
    let sentence = rawops(&db.url(), &["dead", "requeue", nobody]).await.refusal(1);
    assert_eq!(sentence, format!("there is no dead letter {nobody}: `rawops dead list` shows them"));
}

#[tokio::test]
async fn other_arguments_are_taken_when_they_are_json() {
    let db = Database::new().await;
    let ids = letters(&db, &["validation"]).await;
    let sentence = rawops(&db.url(), &["dead", "requeue", &ids[0], "--args", "{oops"]).await.refusal(1);
    assert!(sentence.starts_with("--args are not JSON"), "{sentence}");
    assert_eq!(list(&db, &[]).await.len(), 1, "the letter is still open");

    let args = r#"{"category": "conflict", "times": 0}"#;
    let job = rawops(&db.url(), &["dead", "requeue", &ids[0], "--args", args, "--json"]).await.ok().json();
    let shown = rawops(&db.url(), &["jobs", "show", job["job_id"].as_str().expect("an id"), "--json"]).await.ok().json();
    assert_eq!(shown["args"], json!({ "category": "conflict", "times": 0 }));
}

#[tokio::test]
async fn arguments_that_the_kind_does_not_take_are_refused_before_they_run() {
    let db = Database::new().await;
    let row = json!({ "inbox_id": uuid::Uuid::nil() }).to_string();
    let job = NewJob::raw("orders.process_order", serde_json::value::RawValue::from_string(row).expect("it is JSON"));
    Client::new(db.pool().clone()).enqueue(&job).await.expect("the queue takes the job");
    run_all(&db, jobs::kinds()).await;
    let letter = list(&db, &[]).await[0]["id"].as_str().expect("an id").to_string();
    let sentence = rawops(&db.url(), &["dead", "requeue", &letter, "--args", r#"{"inbox_id": "here"}"#]).await.refusal(1);
    let words = "--args: the arguments do not fit the schema of orders.process_order: /inbox_id: not of the format uuid";
    assert!(sentence.starts_with(words), "{sentence}");
}

#[tokio::test]
async fn all_letters_of_a_category_run_again_and_the_others_stay() {
    let db = Database::new().await;
    letters(&db, &["validation", "network", "network"]).await;
    let answer = rawops(&db.url(), &["dead", "requeue", "--all", "--category", "network"]).await.ok();
    assert_eq!(answer.out, "2 dead letters requeued, 0 stayed\n");
    assert_eq!(list(&db, &[]).await.len(), 1);
    let answer = rawops(&db.url(), &["dead", "requeue", "--all", "--kind", "test.other", "--json"]).await.ok().json();
    assert_eq!(answer, json!({ "requeued": [], "stayed": [] }));
}

#[tokio::test]
async fn letters_are_counted_by_cause_and_those_of_one_run_again() {
    let db = Database::new().await;
    assert_eq!(rawops(&db.url(), &["dead", "causes"]).await.ok().out, "no dead letters\n");
    let ids = letters(&db, &["validation", "network", "network"]).await;
    let causes = rawops(&db.url(), &["dead", "causes", "--json"]).await.ok().json();
    let counted: Vec<_> = causes.as_array().expect("a list").iter().map(|cause| (&cause["category"], &cause["letters"])).collect();
    assert_eq!(counted, [(&json!("network"), &json!(2)), (&json!("validation"), &json!(1))]);
    let fingerprint = causes[0]["fingerprint"].as_str().expect("a name");
    let table = rawops(&db.url(), &["dead", "causes", "--category", "network"]).await.ok().out;
    assert!(table.lines().count() == 2 && table.contains(fingerprint) && table.contains("failed on purpose"), "{table}");

    assert_eq!(list(&db, &["--fingerprint", fingerprint]).await.len(), 2);
    let answer = rawops(&db.url(), &["dead", "requeue", "--all", "--fingerprint", fingerprint]).await.ok();
    assert_eq!(answer.out, "2 dead letters requeued, 0 stayed\n");
    let left = list(&db, &[]).await;
    assert_eq!(left.iter().map(|letter| letter["id"].as_str()).collect::<Vec<_>>(), [Some(ids[0].as_str())]);
    assert_eq!(rawops(&db.url(), &["dead", "requeue", &ids[0], "--fingerprint", fingerprint]).await.code, 2, "one, or those of a cause");
}

#[tokio::test]
async fn a_letter_that_cannot_run_again_does_not_keep_the_others() {
    let db = Database::new().await;
    letters(&db, &["validation"]).await;
    sqlx::query("insert into raw_ops.dead_letter_queue (source, topic, payload) values ('courier', 'parcel', '{}')")
        .execute(db.pool())
        .await
        .expect("anybody may leave a dead letter");
    let answer = rawops(&db.url(), &["dead", "requeue", "--all"]).await;
    assert_eq!(answer.code, 1);
    assert!(answer.out.contains("has no job of this engine to run again\n1 dead letter requeued, 1 stayed\n"), "{answer:?}");
}

#[tokio::test]
async fn requeue_wants_one_letter_or_all() {
    let db = Database::new().await;
    let id = "00000000-0000-0000-0000-000000000000";
    for words in [vec!["dead", "requeue"], vec!["dead", "requeue", id, "--all"], vec!["dead", "requeue", id, "--kind", "x"]] {
        let answer = rawops(&db.url(), &words).await;
        assert!(answer.code == 2 && answer.err.contains("rawops dead requeue --all [--kind"), "{answer:?}");
    }
}
