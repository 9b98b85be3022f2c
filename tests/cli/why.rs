//! `rawops why`, `limits`, `pause` and `resume`.

use engine::{Client, JobId, NewJob};

use super::program::rawops;
use crate::support::{Database, kinds::NoOp};

async fn job(db: &Database) -> JobId {
    let job = NewJob::of(&NoOp { n: 7 }).expect("the arguments are JSON").limit_key("shop:1");
    Client::new(db.pool().clone()).enqueue(&job).await.expect("the queue takes the job").id
}

#[tokio::test]
async fn why_says_what_keeps_a_job_in_words_and_as_json() {
    let db = Database::new().await;
    let id = job(&db).await.to_string();
    let said = rawops(&db.url(), &["why", &id]).await.ok().out;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], format!("job {id}, test.no_op in queue default, is waiting"));
    assert_eq!(lines[1], "- no live worker knows kind test.no_op");
    assert_eq!(lines[2], "- limit of key shop:1 is at 0/100, and it is number 1 of those that wait");
    let json = rawops(&db.url(), &["why", &id, "--json"]).await.ok().json();
    assert_eq!((json["state"].as_str(), json["reasons"][1]["because"].as_str()), (Some("waiting"), Some("limit")));
    assert_eq!(rawops(&db.url(), &["why", "4711"]).await.refusal(1), "there is no job 4711");
}

#[tokio::test]
async fn a_pause_is_set_listed_explained_and_ended() {
    let db = Database::new().await;
    let id = job(&db).await.to_string();
    let said =
        rawops(&db.url(), &["pause", "kind", "test.no_op", "--reason", "a bad release", "--until", "2100-01-01T00:00:00Z"]).await.ok().out;
    assert_eq!(said, "kind test.no_op is paused until 2100-01-01 00:00:00Z; what runs goes on\n");
    let why = rawops(&db.url(), &["why", &id]).await.ok().out;
    assert!(why.contains(" until 2100-01-01 00:00:00Z, by ada on the command line: a bad release"), "{why}");
    let json = rawops(&db.url(), &["limits", "list", "--json"]).await.ok().json();
    assert_eq!((json["pauses"][0]["scope"].as_str(), json["pauses"][0]["name"].as_str()), (Some("kind"), Some("test.no_op")));
    assert_eq!(rawops(&db.url(), &["resume", "kind", "test.no_op"]).await.ok().out, "kind test.no_op goes on; 1 pause ended\n");
    assert_eq!(rawops(&db.url(), &["resume", "kind", "test.no_op"]).await.ok().out, "kind test.no_op was not paused\n");
    let planned =
        rawops(&db.url(), &["pause", "queue", "default", "--from", "2100-01-01T00:00:00Z", "--for", "4h", "--json"]).await.ok().json();
    assert_eq!(planned["paused"]["until"].as_str(), Some("2100-01-01T04:00:00Z"));
    let refused = rawops(&db.url(), &["pause", "queue", "default", "--until", "2000-01-01T00:00:00Z"]).await.refusal(1);
    assert!(refused.starts_with("the pause would end at 2000-01-01") && refused.ends_with("before it begins"), "{refused}");
}

#[tokio::test]
async fn a_limit_is_set_listed_and_taken_back() {
    let db = Database::new().await;
    assert_eq!(rawops(&db.url(), &["limits", "list"]).await.ok().out, "no limits: each key has 100 jobs at once\n");
    let said = rawops(&db.url(), &["limits", "set", "key", "shop:*", "--at-once", "3"]).await.ok().out;
    assert_eq!(said, "key shop:*: 3 at once from now on\n");
    let said = rawops(&db.url(), &["limits", "set", "key", "shop:*", "--in-order", "yes"]).await.ok().out;
    assert_eq!(said, "key shop:*: 3 at once, in order over retries from now on\n");
    let table = rawops(&db.url(), &["limits", "list"]).await.ok().out;
    assert!(table.contains("shop:*") && table.contains("ada on the command line"), "{table}");
    assert_eq!(rawops(&db.url(), &["limits", "unset", "key", "shop:*"]).await.ok().out, "key shop:* has no limit of its own any more\n");
    assert_eq!(rawops(&db.url(), &["limits", "unset", "key", "shop:*"]).await.ok().out, "key shop:* had no limit of its own\n");
}

#[tokio::test]
async fn one_part_of_a_limit_is_taken_away_and_the_other_stays() {
    let db = Database::new().await;
    let set = async |words: &[&str]| {
        let all: Vec<&str> = ["limits", "set"].iter().chain(words).copied().collect();
        rawops(&db.url(), &all).await
    };
    set(&["key", "shop:*", "--at-once", "3", "--rate", "40/1m"]).await.ok();
    let said = set(&["key", "shop:*", "--at-once", "none"]).await.ok().out;
    assert_eq!(said, "key shop:*: 100 at once, as any key, 40 in any 1m, 3 of them together from now on\n");
    let refusal = set(&["key", "shop:*", "--rate", "none"]).await.refusal(1);
    assert_eq!(refusal, "nothing would be left of the limit of key shop:*: `rawops limits unset` takes it away");
    let limits = rawops(&db.url(), &["limits", "list", "--json"]).await.ok().json();
    assert_eq!((limits["limits"][0]["cap"].as_i64(), limits["limits"][0]["rate"].as_i64()), (None, Some(40)), "nothing was changed");
    let limit = set(&["key", "shop:*", "--at-once", "2", "--rate", "none", "--json"]).await.ok().json();
    assert_eq!(
        (limit["cap"].as_i64(), limit["rate"].as_i64(), limit["per_ms"].as_i64(), limit["burst"].as_i64()),
        (Some(2), None, None, None)
    );

    let refusal = set(&["kind", "test.no_op", "--at-once", "none"]).await.refusal(1);
    assert!(refusal.starts_with("nothing would be left of the limit of kind test.no_op: "), "{refusal}");
    let limits = rawops(&db.url(), &["limits", "list", "--json"]).await.ok().json();
    assert_eq!(limits["limits"].as_array().map(Vec::len), Some(1), "none was made");
    let refusal = set(&["key", "shop:*", "--rate", "none", "--burst", "2"]).await.refusal(1);
    assert_eq!(refusal, "--burst is a part of the rate, and `--rate none` leaves no rate: leave --burst out");
    let wrong = set(&["key", "shop:*", "--at-once", "nobody"]).await;
    assert!(wrong.code == 2 && wrong.err.contains("expected a number of jobs from 1 to 10000, or none"), "{wrong:?}");
}
