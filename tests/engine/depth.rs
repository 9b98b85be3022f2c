//! Whoever enqueues is told how deep the queue is, and a queue refuses above its limit.

use chrono::Utc;
use engine::{Client, StoreError, store::queue};
use sqlx::PgPool;

use super::{
    hand::{count, enqueue},
    jobs::of,
};
use crate::support::{Database, kinds::NoOp};

async fn measure(pool: &PgPool) {
    sqlx::query("select engine.measure_figures(0)").execute(pool).await.expect("measured");
}

#[tokio::test]
async fn an_enqueue_is_told_how_deep_its_queue_is_and_how_old() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    enqueue(db.pool(), 7).await;
    client.enqueue(&of(&NoOp { n: 1 }).priority(0)).await.expect("enqueued");
    client.enqueue(&of(&NoOp { n: 1 }).run_at(Utc::now() + std::time::Duration::from_hours(1))).await.expect("enqueued");
    sqlx::query("update engine.job set created_at = created_at - interval '10 seconds'").execute(db.pool()).await.expect("aged");
    measure(db.pool()).await;
    let told = client.enqueue(&of(&NoOp { n: 2 }).unique_key("k")).await.expect("enqueued");
    assert_eq!(told.queue_depth, 8, "of every lane, and only what may run now");
    assert!((10_000..60_000).contains(&told.queue_age_ms), "{told:?}");
    let again = client.enqueue(&of(&NoOp { n: 2 }).unique_key("k")).await.expect("answered");
    assert_eq!((again.created, again.queue_depth), (false, 8));
    let elsewhere = client.enqueue(&of(&NoOp { n: 3 }).queue("other")).await.expect("enqueued");
    assert_eq!((elsewhere.queue_depth, elsewhere.queue_age_ms), (0, 0));
}

#[tokio::test]
async fn a_full_queue_refuses_new_jobs_and_still_answers_for_old_ones() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let known = client.enqueue(&of(&NoOp { n: 0 }).idempotency_key("p", "k")).await.expect("enqueued");
    enqueue(db.pool(), 4).await;
    measure(db.pool()).await;
    queue::set_limit(db.pool(), "default", Some(5)).await.expect("set");
    let jobs = [of(&NoOp { n: 1 }), of(&NoOp { n: 2 }).queue("other")];
    let words = "queue default is full: 5 jobs of it are ready, and its limit is 5";
    for refused in
        [client.enqueue(&jobs[0]).await.map(drop), client.enqueue_many(&jobs).await.map(drop), client.enqueue_copy(&jobs).await.map(drop)]
    {
        assert!(matches!(&refused, Err(StoreError::QueueFull(why)) if why == words), "{refused:?}");
    }
    assert_eq!(count(db.pool(), "select count(*) from engine.job").await, 5, "all or none");
    let again = client.enqueue(&of(&NoOp { n: 0 }).idempotency_key("p", "k")).await.expect("answered");
    assert_eq!((again.id, again.created), (known.id, false));
    client.enqueue(&jobs[1]).await.expect("the other queue has no limit");

    let refused = sqlx::query("select * from engine.enqueue('test.no_op', '{\"n\": 1}')").execute(db.pool()).await.expect_err("full");
    assert_eq!(refused.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(), Some("RW020"));
    queue::set_limit(db.pool(), "default", Some(6)).await.expect("set");
    client.enqueue(&jobs[0]).await.expect("there is room");
}

#[tokio::test]
async fn a_limit_below_one_is_refused() {
    let db = Database::new().await;
    queue::set_limit(db.pool(), "default", Some(0)).await.expect_err("nonsense");
}
