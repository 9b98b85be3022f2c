//! Jobs by COPY: all or none, in order, with whatever their arguments hold.

use std::time::{Duration, Instant};

use chrono::Utc;
use engine::{Client, JobId, NewJob, StoreError, WorkerConfig};
use serde_json::value::RawValue;

use super::{
    hand::{count, enqueue},
    jobs::{Running, of, until_state},
};
use crate::support::{Database, kinds, kinds::NoOp, wait};

#[tokio::test]
async fn copied_jobs_are_there_in_order_and_run() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let worker = Running::with(db.pool(), kinds::kinds(), WorkerConfig { concurrency: 16, ..WorkerConfig::default() });
    let mut jobs: Vec<NewJob> = (0..30_000).map(|n| of(&NoOp { n }).priority((n % 3) as i16)).collect();
    jobs.push(
        of(&NoOp { n: -1 }).run_at(Utc::now() + Duration::from_hours(1)).max_attempts(3).deadline(Utc::now() + Duration::from_hours(2)),
    );
    let ids = client.enqueue_copy(&jobs).await.expect("copied");
    assert_eq!(ids.len(), jobs.len());
    let stored: Vec<(JobId, i64)> = sqlx::query_as("select id, (args ->> 'n')::bigint from engine.job order by id")
        .fetch_all(db.pool())
        .await
        .expect("jobs can be read");
    let wanted: Vec<(JobId, i64)> = ids.iter().copied().zip((0..30_000).chain([-1])).collect();
    assert_eq!(stored, wanted);
    wait::until_every(Duration::from_millis(100), "all have run", Duration::from_mins(2), || async {
        count(db.pool(), "select count(*) from engine.attempt where outcome = 'completed'").await == 30_000
    })
    .await;
    worker.stop().await;
    assert_eq!(count(db.pool(), "select count(*) from engine.scheduled").await, 1);
    assert_eq!(count(db.pool(), "select count(*) from engine.job where max_attempts = 3 and deadline > engine.now()").await, 1);
}

#[tokio::test]
async fn arguments_that_look_like_the_form_of_a_copy_come_through() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let texts = ["{\"a\":\"tab\\t, line\\n, back\\\\slash\"}", "{ \"a\" :\t1,\n\"b\": \"\\\\N\" }", "{\"a\":\"\u{1F415} \\u00e9 \\\\.\"}"];
    let jobs: Vec<NewJob> =
        texts.iter().map(|text| NewJob::raw("test.any", RawValue::from_string((*text).into()).expect("it is JSON"))).collect();
    let copied = client.enqueue_copy(&jobs).await.expect("copied");
    let plain = client.enqueue_many(&jobs).await.expect("enqueued");
    for (one, other) in copied.iter().zip(plain.iter().flatten()) {
        let same: bool =
            sqlx::query_scalar("select (select args from engine.job where id = $1) = (select args from engine.job where id = $2)")
                .bind(one)
                .bind(other)
                .fetch_one(db.pool())
                .await
                .expect("both are there");
        assert!(same, "job {one}");
    }
}

#[tokio::test]
async fn a_copy_that_fails_leaves_nothing_and_keys_are_refused() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let good = of(&NoOp { n: 1 });
    for (bad, words) in [
        (good.clone().unique_key("k"), "a unique key"),
        (good.clone().unique_args(), "a unique key"),
        (good.clone().idempotency_key("p", "k"), "an idempotency key"),
    ] {
        let refused = client.enqueue_copy(&[good.clone(), bad]).await;
        assert!(matches!(refused, Err(StoreError::NotForCopy(1, why)) if why == words), "{refused:?}");
    }
    let large = RawValue::from_string(format!("\"{}\"", "x".repeat(2 << 20))).expect("it is JSON");
    let refused = client.enqueue_copy(&[good.clone(), NewJob::raw("test.any", large)]).await;
    assert!(matches!(refused, Err(StoreError::ArgumentsTooLarge)), "{refused:?}");
    let nul = RawValue::from_string("\"\\u0000\"".into()).expect("it is JSON");
    client.enqueue_copy(&[good.clone(), NewJob::raw("test.any", nul)]).await.expect_err("jsonb takes no NUL");
    assert_eq!(count(db.pool(), "select count(*) from engine.job").await, 0);
    assert_eq!(client.enqueue_copy(&[]).await.expect("nothing to do"), []);
    client.enqueue_copy(&[good]).await.expect("the connection is sound");
}

#[tokio::test]
async fn a_copy_that_commits_late_is_found_below_the_floor() {
    let db = Database::new().await;
    let worker = Running::start(db.pool(), 4);
    let first = enqueue(db.pool(), 1).await[0];
    until_state(db.pool(), first, "completed").await;
    let mut late = db.pool().begin().await.expect("a transaction");
    let ids = engine::enqueue_copy_in(&mut late, &[of(&NoOp { n: -1 })]).await.expect("copied");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1500) {
        let last = *enqueue(db.pool(), 50).await.last().expect("fifty jobs");
        until_state(db.pool(), last, "completed").await;
    }
    late.commit().await.expect("committed");
    until_state(db.pool(), ids[0], "completed").await;
    worker.stop().await;
}
