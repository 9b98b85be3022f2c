//! `rawops jobs enqueue`.

use std::{fs::File, path::Path, process::Stdio};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::program::{self, Answer, command, rawops};
use crate::support::{Database, Login};

const KIND: &str = "orders.process_order";
const ARGS: &str = r#"{ "inbox_id": "00000000-0000-0000-0000-000000000001" }"#;
const OTHER_ARGS: &str = r#"{ "inbox_id": "00000000-0000-0000-0000-000000000002" }"#;

async fn enqueue(url: &str, words: &[&str]) -> Answer {
    let all: Vec<&str> = ["jobs", "enqueue"].iter().chain(words).copied().collect();
    rawops(url, &all).await
}

/// What was made, as JSON.
async fn made(db: &Database, words: &[&str]) -> Value {
    let all: Vec<&str> = words.iter().chain(&["--json"]).copied().collect();
    enqueue(&db.url(), &all).await.ok().json()
}

async fn shown(db: &Database, id: &Value) -> Value {
    rawops(&db.url(), &["jobs", "show", id.as_str().expect("ids are strings"), "--json"]).await.ok().json()
}

#[tokio::test]
async fn a_job_has_what_was_asked_for_and_else_what_its_kind_has() {
    let db = Database::new().await;
    let said = enqueue(&db.url(), &["health.prune_enqueue_keys"]).await.ok().out;
    assert!(said.starts_with("job ") && said.ends_with(" is enqueued: health.prune_enqueue_keys in queue health, priority 8\n"), "{said}");

    let options = "--queue slow --priority 2 --run-at 2100-01-01T00:00:00Z --deadline 2100-01-02T00:00:00Z --unique-key one \
                   --limit-key shop:42 --max-attempts 3";
    let words: Vec<&str> = [KIND, "--args", ARGS].into_iter().chain(options.split_whitespace()).collect();
    let answer = made(&db, &words).await;
    assert_eq!(answer["created"], true, "{answer}");
    let job = shown(&db, &answer["id"]).await;
    assert_eq!(job["args"], json!({ "inbox_id": "00000000-0000-0000-0000-000000000001" }));
    for (name, value) in [
        ("kind", json!(KIND)),
        ("queue", json!("slow")),
        ("priority", json!(2)),
        ("run_at", json!("2100-01-01T00:00:00Z")),
        ("deadline", json!("2100-01-02T00:00:00Z")),
        ("unique_key", json!("one")),
        ("limit_key", json!("shop:42")),
    ] {
        assert_eq!(job[name], value, "{name}: {job}");
    }
    let most: Vec<Option<i16>> =
        sqlx::query_scalar("select max_attempts from engine.job order by id").fetch_all(db.pool()).await.expect("read");
    assert_eq!(most, [None, Some(3)]);

    let moment = |job: &Value, name: &str| job[name].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok()).expect("a moment");
    let later = shown(&db, &made(&db, &[KIND, "--args", ARGS, "--in", "1h"]).await["id"]).await;
    let waits = moment(&later, "run_at") - moment(&later, "created_at");
    assert!(waits > TimeDelta::minutes(50) && waits <= TimeDelta::hours(1), "{waits}");
}

#[tokio::test]
async fn a_key_that_is_held_makes_no_second_job() {
    let db = Database::new().await;
    for option in ["--unique-key", "--idempotency-key"] {
        let first = made(&db, &[KIND, "--args", ARGS, option, "once"]).await;
        let second = made(&db, &[KIND, "--args", ARGS, option, "once"]).await;
        assert_eq!((&first["created"], &second["created"], &second["id"]), (&json!(true), &json!(false), &first["id"]), "{option}");
        let said = enqueue(&db.url(), &[KIND, "--args", ARGS, option, "once"]).await.ok().out;
        assert_eq!(said, format!("job {} has this key already: no other was made\n", first["id"].as_str().expect("an id")));
    }
    let refusal = enqueue(&db.url(), &[KIND, "--args", OTHER_ARGS, "--idempotency-key", "once"]).await.refusal(1);
    assert!(refusal.starts_with("idempotency key once was used before") && refusal.ends_with("use a new key"), "{refusal}");
}

#[tokio::test]
async fn arguments_come_from_a_file_or_from_standard_input() {
    let db = Database::new().await;
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("arguments-{}.json", std::process::id()));
    std::fs::write(&file, format!("{ARGS}\n")).expect("a file can be written");
    let path = file.display().to_string();
    let answer = made(&db, &[KIND, "--args-file", &path]).await;
    let expected = json!({ "inbox_id": "00000000-0000-0000-0000-000000000001" });
    assert_eq!(shown(&db, &answer["id"]).await["args"], expected);

    let mut fed = command(&["jobs", "enqueue", KIND, "--args-file", "-", "--json"]);
    fed.env("DATABASE_URL", db.url()).stdin(Stdio::from(File::open(&file).expect("it was written")));
    let answer = program::answer(fed).await.ok().json();
    assert_eq!(shown(&db, &answer["id"]).await["args"], expected);

    std::fs::write(&file, [b'"', 0xff, b'"']).expect("a file can be written");
    let refusal = enqueue(&db.url(), &[KIND, "--args-file", &path]).await.refusal(1);
    assert_eq!(refusal, format!("--args-file: cannot read {path}: it is not UTF-8"));
    std::fs::write(&file, vec![b' '; (4 << 20) + 1]).expect("a file can be written");
    let refusal = enqueue(&db.url(), &[KIND, "--args-file", &path]).await.refusal(1);
    assert!(refusal.starts_with("the arguments are larger than 1 MiB"), "{refusal}");
    std::fs::remove_file(&file).expect("it was written");
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_made() {
    let db = Database::new().await;
    let url = db.url();
    let unknown = enqueue(&url, &["orders.proces_order"]).await.refusal(1);
    assert!(unknown.starts_with("this program knows no kind orders.proces_order: it knows ") && unknown.contains(KIND), "{unknown}");
    let lacking = enqueue(&url, &[KIND]).await.refusal(1);
    let schema = "the arguments do not fit the schema of orders.process_order";
    assert!(lacking.starts_with(&format!("--args: {schema}: lacks ")) && lacking.contains("inbox_id"), "{lacking}");
    let wrong: [(&[&str], &str); 5] = [
        (&["--args", "{oops"], "--args: this is no JSON: "),
        (&["--args", r#"{"inbox_id": "here"}"#], &format!("--args: {schema}: /inbox_id: not of the format uuid")),
        (&["--args-file", "no-such.json"], "--args-file: cannot read no-such.json: "),
        (&["--args", ARGS, "--queue", "a\tb"], r#"queue "a\tb": a name has 1 to 500 bytes"#),
        (&["--args", ARGS, "--in", "1000000000y"], "--in is longer than there will be time"),
    ];
    for (words, sentence) in wrong {
        let refusal = enqueue(&url, &[&[KIND][..], words].concat()).await.refusal(1);
        assert!(refusal.starts_with(sentence), "{refusal}");
    }
    for words in [
        ["--args-file", "-", "--args", "{}"],
        ["--in", "1h", "--run-at", "2100-01-01T00:00:00Z"],
        ["--args", ARGS, "--priority", "10"],
        ["--args", ARGS, "--max-attempts", "0"],
        ["--args", ARGS, "--unique-key", ""],
        ["--args", ARGS, "--idempotency-key", "é"],
    ] {
        let answer = enqueue(&url, &[&[KIND][..], &words[..]].concat()).await;
        assert!(answer.code == 2 && answer.err.contains("--help"), "{words:?}: {answer:?}");
    }
    assert_eq!(rawops(&url, &["jobs", "list"]).await.ok().out, "no jobs\n");
}

#[tokio::test]
async fn a_full_queue_and_a_user_who_may_not_are_told_what_to_do() {
    let db = Database::new().await;
    let url = db.url();
    rawops(&url, &["queues", "set", "orders", "--depth-limit", "1"]).await.ok();
    enqueue(&url, &[KIND, "--args", ARGS]).await.ok();
    sqlx::query("select engine.measure_figures(0)").execute(db.pool()).await.expect("measured");
    let full = enqueue(&url, &[KIND, "--args", OTHER_ARGS]).await.refusal(1);
    assert!(full.starts_with("queue orders is full: ") && full.ends_with("or raise it with `rawops queues set`"), "{full}");

    let (runtime, operator) = (Login::of("rawops_runtime").await, Login::of("rawops_operator").await);
    enqueue(&runtime.url(&db), &["health.prune_enqueue_keys"]).await.ok();
    let refusal = enqueue(&operator.url(&db), &["health.prune_enqueue_keys"]).await.refusal(1);
    assert!(refusal.starts_with("this user may not enqueue jobs: ") && refusal.contains("grant rawops_runtime to"), "{refusal}");
}
