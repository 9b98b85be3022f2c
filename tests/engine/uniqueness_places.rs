//! What stands with a unique key while another of it is asked for: it does not start unseen, nor is it undone when it has begun.

use engine::{Client, Enqueued, NewJob};
use sqlx::PgPool;

use super::{
    hand::{Hand, count},
    jobs::{of, state_of},
};
use crate::support::{Database, kinds::NoOp};

fn keyed(n: i64) -> NewJob {
    of(&NoOp { n }).unique_key("k")
}

async fn put(pool: &PgPool, job: NewJob) -> Enqueued {
    Client::new(pool.clone()).enqueue(&job).await.expect("answered")
}

#[tokio::test]
async fn a_job_starts_only_after_who_was_told_that_it_waits_has_committed() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let first = put(db.pool(), keyed(1).unique_until_started()).await;
    let mut tx = db.pool().begin().await.expect("a transaction");
    let told = engine::enqueue_in(&mut tx, &keyed(2).unique_until_started()).await.expect("answered");
    assert_eq!((told.id, told.created), (first.id, false));
    assert!(hand.take(10).await.is_empty(), "what it wrote would be seen by nobody");
    tx.commit().await.expect("committed");
    assert_eq!(count(db.pool(), "select count(*) from engine.ready where position < 0").await, 1, "where claims look for what they passed");
    let taken = hand.take(10).await;
    assert_eq!(taken.iter().map(|job| job.job_id).collect::<Vec<_>>(), [first.id]);
    assert!(put(db.pool(), keyed(3).unique_until_started()).await.created, "it has started");
}

#[tokio::test]
async fn a_workflow_that_has_begun_is_not_replaced() {
    let db = Database::new().await;
    let first = put(db.pool(), keyed(1)).await;
    let begin = "insert into engine.step (job_id, position, attempt, kind, name, begun_at, ended_at, result)
        select id, 1, 1, 'step', 'pay', engine.now(), engine.now(), '1' from engine.job";
    sqlx::query(begin).execute(db.pool()).await.expect("a step was kept");
    let told = put(db.pool(), keyed(2).replace()).await;
    assert_eq!((told.id, told.created), (first.id, false));
    let later = std::time::Duration::from_mins(1);
    let debounced = put(db.pool(), keyed(3).debounce(later, later)).await;
    assert!(debounced.created, "it waits for calls after it");
    assert_eq!(state_of(db.pool(), first.id).await, "ready");
    assert_eq!(count(db.pool(), "select count(*) from engine.aftermath").await, 0, "nothing of it is undone");
}
