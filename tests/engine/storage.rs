//! One test for each fault that the storage's prototype had, in its order; faults 9 and up are in `storage_upkeep.rs`.
//! `fault_1` is the floor under a pinned snapshot, `fault_17` the sweep that one bad row stopped. Faults 2, 3, 4 and 16
//! are shown with real processes in `tests/faults` as well; fault 10 (limits) and 18 (workflows) belong to parts that do
//! not exist yet.

use std::time::Duration;

use chrono::Utc;
use engine::{
    Category, Client, JobId, StoreError,
    store::{
        attempt::{self, Ended, Verdict},
        cancel_request::{self, Cancelled},
        claim::{self, Orphan},
        worker,
    },
};
use sqlx::{PgConnection, PgPool};

use super::hand::{Hand, count, done, due_now, ended, enqueue, failed, promote};
use super::jobs::{Running, of, state_of, until_state};
use super::lookout::{look_on, look_out};
use crate::support::{
    Database, clock,
    kinds::{Fail, NoOp},
};

#[tokio::test]
async fn fault_1_a_claim_steps_over_no_dead_entries_under_a_pinned_snapshot() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let mut pin = db.pool().begin().await.expect("a transaction");
    sqlx::query("set transaction isolation level repeatable read").execute(&mut *pin).await.expect("set");
    count_in(&mut pin).await;
    for _ in 0..10 {
        enqueue(db.pool(), 2000).await;
        let jobs = hand.take(2000).await;
        let results: Vec<Ended> = jobs.iter().map(|job| ended(job, done())).collect();
        hand.complete(&results).await;
    }
    enqueue(db.pool(), 10).await;
    let (lane, floor): (i32, i64) = sqlx::query_as("select lane_id, min(position) - 1 from engine.ready group by lane_id")
        .fetch_one(db.pool())
        .await
        .expect("ten jobs are ready");
    let from_floor = buffers(db.pool(), lane, floor).await;
    let from_edge = buffers(db.pool(), lane, 0).await;
    assert!(from_floor * 5 < from_edge, "{from_floor} pages from the floor, {from_edge} from the left edge");
    pin.rollback().await.expect("rolled back");
}

async fn count_in(connection: &mut PgConnection) {
    sqlx::query("select count(*) from engine.ready").execute(connection).await.expect("a snapshot is taken");
}

/// How many pages the claim's index walk looks at.
async fn buffers(pool: &PgPool, lane: i32, floor: i64) -> i64 {
    let plan: serde_json::Value = sqlx::query_scalar(
        "explain (analyze, buffers, format json) select ctid from engine.ready where lane_id = $1 and position > $2 order by position limit 10",
    )
    .bind(lane)
    .bind(floor)
    .fetch_one(pool)
    .await
    .expect("explained");
    let node = &plan[0]["Plan"];
    node["Shared Hit Blocks"].as_i64().unwrap_or(0) + node["Shared Read Blocks"].as_i64().unwrap_or(0)
}

#[tokio::test]
async fn fault_1_a_job_whose_transaction_commits_late_is_found_below_the_floor() {
    let db = Database::new().await;
    let worker = Running::start(db.pool(), 4);
    let first = *enqueue(db.pool(), 1).await.last().expect("one job");
    until_state(db.pool(), first, "completed").await;
    let mut late = db.pool().begin().await.expect("a transaction");
    let late_job = engine::enqueue_in(&mut late, &of(&NoOp { n: -1 })).await.expect("enqueued").id;
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(2500) {
        let last = *enqueue(db.pool(), 50).await.last().expect("fifty jobs");
        until_state(db.pool(), last, "completed").await;
    }
    late.commit().await.expect("committed");
    let committed = std::time::Instant::now();
    until_state(db.pool(), late_job, "completed").await;
    assert!(committed.elapsed() < Duration::from_secs(4), "found after {:?}", committed.elapsed());
    worker.stop().await;
}

#[tokio::test]
async fn fault_2_an_overdue_lease_alone_makes_nobody_dead() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 1).await;
    let job = hand.take(1).await.remove(0);
    sqlx::query("update engine.worker set lease_until = engine.now() - interval '1 hour'")
        .execute(db.pool())
        .await
        .expect("expired, as after an outage");
    let mut other = Hand::new(db.pool()).await;
    assert!(look_out(&mut other).await.is_empty(), "nobody has looked yet");
    assert!(claim::orphans(&mut hand.connection, 0, 10).await.expect("read").is_empty());
    assert!(worker::renew(&mut hand.connection, hand.id, 2000).await.expect("renewed").is_some(), "it renews after the outage");
    clock::own(db.pool()).await;
    assert_eq!(look_on(db.pool(), &mut other, 0.4, 4).await, None, "it lives");
    assert!(hand.complete(&[ended(&job, done())]).await.is_empty(), "its result counts");
}

#[tokio::test]
async fn fault_3_neighbours_of_a_killer_are_not_blamed() {
    let db = Database::new().await;
    let ids = enqueue(db.pool(), 5).await;
    let mut first = Hand::new(db.pool()).await;
    assert_eq!(first.take(10).await.len(), 5);
    first.be_rescued().await;
    assert_eq!(count(db.pool(), "select count(*) from engine.ready").await, 5, "lost once: ready again at once");
    let mut second = Hand::new(db.pool()).await;
    assert_eq!(second.take(10).await.len(), 5);
    second.be_rescued().await;
    assert_eq!(count(db.pool(), "select count(*) from engine.scheduled where alone").await, 5, "lost twice: they run alone");
    let killer = ids[2];
    for round in 1..=3 {
        due_now(db.pool()).await;
        let mut hand = Hand::new(db.pool()).await;
        while let Some(job) = claim::take_alone(&mut hand.connection, hand.id, &hand.kinds, &hand.queues).await.expect("claimed") {
            if job.job_id == killer {
                break;
            }
            assert!(hand.complete(&[ended(&job, done())]).await.is_empty());
        }
        hand.be_rescued().await;
        assert_eq!(state_of(db.pool(), killer).await, if round < 3 { "scheduled" } else { "dead" });
    }
    let letters: Vec<(JobId, String)> =
        sqlx::query_as("select job_id, category from engine.dead_letter_queue").fetch_all(db.pool()).await.expect("letters");
    assert_eq!(letters, [(killer, "poison".to_string())]);
    assert_eq!(count(db.pool(), "select count(*) from engine.job_state where state = 'completed'").await, 4);
}

#[tokio::test]
async fn fault_4_one_hung_transaction_keeps_only_its_own_job() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 4).await;
    let jobs = hand.take(4).await;
    let mut hung = db.pool().begin().await.expect("a transaction");
    assert!(claim::assert_held(&mut hung, hand.id, jobs[0].claim_id, jobs[0].job_id, 1, None).await.expect("asked"));
    attempt::complete_one(&mut hung, hand.id, jobs[0].claim_id, (jobs[0].job_id, 1), 0, &serde_json::Value::Null)
        .await
        .expect("written, not committed");
    hand.die().await;
    let orphan = Orphan { worker_id: hand.id, id: jobs[0].claim_id };
    assert_eq!(claim::rescue(&mut hand.connection, orphan).await.expect("rescued"), 3);
    assert_eq!(state_of(db.pool(), jobs[0].job_id).await, "running", "its transaction may still commit");
    hung.rollback().await.expect("ended");
    assert_eq!(claim::rescue(&mut hand.connection, orphan).await.expect("rescued"), 1);
    assert_eq!(count(db.pool(), "select count(*) from engine.claim").await, 0);
}

#[tokio::test]
async fn two_hundred_claims_that_cannot_be_rescued_hold_up_no_other() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let ids = enqueue(db.pool(), 201).await;
    let mut hung = db.pool().begin().await.expect("a transaction");
    for _ in 0..200 {
        let job = hand.take(1).await.remove(0);
        assert!(claim::assert_held(&mut hung, hand.id, job.claim_id, job.job_id, 1, None).await.expect("asked"));
    }
    assert_eq!(hand.take(1).await.len(), 1, "the last one is held by nobody's transaction");
    hand.die().await;
    let begun = std::time::Instant::now();
    let worker = super::jobs::Running::start(db.pool(), 1);
    super::jobs::until_state(db.pool(), ids[200], "completed").await;
    println!("rescued and run {:?} after the start of a worker", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(count(db.pool(), "select count(*) from engine.claim").await, 200, "nobody else was touched");
    hung.rollback().await.expect("ended");
    for id in &ids[..200] {
        super::jobs::until_state(db.pool(), *id, "completed").await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn fault_5_a_cancel_wins_over_claim_promote_and_a_failing_finish() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let mut hand = Hand::new(db.pool()).await;
    let cancel = async |id| cancel_request::cancel(db.pool(), id, "ann", None).await.expect("asked");

    let ready = client.enqueue(&of(&NoOp { n: 1 })).await.expect("enqueued").id;
    assert_eq!(cancel(ready).await, Cancelled::Cancelled);
    let later = client.enqueue(&of(&NoOp { n: 1 }).run_at(Utc::now() + Duration::from_hours(1))).await.expect("enqueued").id;
    assert_eq!(cancel(later).await, Cancelled::Cancelled);

    let fails = client.enqueue(&of(&Fail { category: "network".into(), times: 9 }).unique_key("k")).await.expect("enqueued").id;
    let job = hand.take(1).await.remove(0);
    assert_eq!(cancel(fails).await, Cancelled::Requested);
    assert_eq!(count(db.pool(), "select count(*) from engine.unique_key").await, 1, "a handler that still runs keeps its key");
    assert_eq!(
        worker::renew(&mut hand.connection, hand.id, 2000).await.expect("renewed"),
        Some(vec![fails]),
        "the lease brings the request"
    );
    hand.settle(&[ended(&job, failed(Category::Network))]).await;
    assert_eq!(state_of(db.pool(), fails).await, "cancelled", "a failure does not bring it back");
    assert_eq!(count(db.pool(), "select count(*) from engine.unique_key").await, 0);

    let due = client.enqueue(&of(&NoOp { n: 1 }).run_at(Utc::now() + Duration::from_hours(1))).await.expect("enqueued").id;
    sqlx::query("insert into engine.cancel_request (job_id, requested_by) values ($1, 'ann')")
        .bind(due)
        .execute(db.pool())
        .await
        .expect("asked");
    due_now(db.pool()).await;
    promote(&mut hand.connection).await;
    assert_eq!(state_of(db.pool(), due).await, "cancelled", "a promotion honours the request");

    assert_eq!(cancel(due).await, Cancelled::Already("cancelled".into()));
    assert!(matches!(cancel_request::cancel(db.pool(), JobId(999_999), "ann", None).await, Err(StoreError::NoSuchJob(_))));
}

#[tokio::test]
async fn fault_6_a_late_result_does_not_poison_the_batch() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 2).await;
    let jobs = hand.take(2).await;
    hand.settle(&[ended(&jobs[0], Verdict::Released)]).await;
    let again = hand.take(1).await.remove(0);
    assert_eq!((again.job_id, again.attempt), (jobs[0].job_id, 2));
    let late =
        hand.settle(&[ended(&jobs[0], failed(Category::Network)), ended(&again, failed(Category::Network)), ended(&jobs[1], done())]).await;
    assert_eq!(late, [(jobs[0].job_id, 1)], "the late one is told");
    assert_eq!(state_of(db.pool(), jobs[0].job_id).await, "scheduled");
    assert_eq!(state_of(db.pool(), jobs[1].job_id).await, "completed");
}

#[tokio::test]
async fn fault_7_an_idempotency_key_outlives_its_job() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let job = of(&NoOp { n: 1 }).idempotency_key("shop", "order 17");
    let first = client.enqueue(&job).await.expect("enqueued");
    assert_eq!(client.enqueue(&job).await.expect("answered").id, first.id, "before the job ended");
    let mut hand = Hand::new(db.pool()).await;
    let claimed = hand.take(1).await.remove(0);
    hand.complete(&[ended(&claimed, done())]).await;
    let again = client.enqueue(&job).await.expect("answered");
    assert_eq!((again.id, again.created), (first.id, false), "after the job ended");
    let other = client.enqueue(&of(&NoOp { n: 2 }).idempotency_key("shop", "order 17")).await;
    assert!(matches!(other, Err(StoreError::KeyReused(_))), "{other:?}");
    assert!(
        client.enqueue(&of(&NoOp { n: 2 }).idempotency_key("till", "order 17")).await.expect("enqueued").created,
        "another producer's key"
    );
}

#[tokio::test]
async fn fault_8_a_dead_letter_is_written_with_the_outcome() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let id = Client::new(db.pool().clone()).enqueue(&of(&NoOp { n: 1 }).unique_key("k").priority(3)).await.expect("enqueued").id;
    let job = hand.take(1).await.remove(0);
    hand.settle(&[ended(&job, failed(Category::Validation))]).await;
    let letter: (JobId, String, String, serde_json::Value, i32, i16, String) =
        sqlx::query_as("select job_id, topic, category, payload, attempts, priority, unique_key from engine.dead_letter_queue")
            .fetch_one(db.pool())
            .await
            .expect("a letter");
    assert_eq!(letter, (id, "test.no_op".into(), "validation".into(), serde_json::json!({ "n": 1 }), 1, 3, "k".into()));
    assert_eq!(count(db.pool(), "select count(*) from engine.unique_key").await, 0);
}
