//! Pauses: what operators hold is not begun, what runs goes on, and a window is over by itself.

use chrono::{TimeDelta, Utc};
use engine::{
    Client, JobId, StoreError,
    store::{
        attempt::Verdict,
        claim::{self, Orphan},
        pause::{self, Scope, Window},
    },
};
use sqlx::PgPool;

use super::hand::{Hand, count, done, due_now, ended, promote};
use super::jobs::{of, state_of};
use super::limits::{enqueue, limit};
use crate::support::{Database, clock, kinds::NoOp, ledger};

async fn hold(pool: &PgPool, scope: Scope, name: &str) {
    pause::begin(pool, scope, name, Window::default(), "ann", Some("a move")).await.expect("held");
}

async fn plain(pool: &PgPool) -> JobId {
    Client::new(pool.clone()).enqueue(&of(&NoOp { n: 1 })).await.expect("enqueued").id
}

#[tokio::test]
async fn a_queue_and_a_kind_can_be_held_and_let_go() {
    for (scope, name) in [(Scope::Queue, "default"), (Scope::Kind, "test.no_op")] {
        let db = Database::new().await;
        let mut hand = Hand::new(db.pool()).await;
        plain(db.pool()).await;
        plain(db.pool()).await;
        let running = hand.take(1).await;
        hold(db.pool(), scope, name).await;
        assert!(hand.take(10).await.is_empty(), "{scope:?}");
        assert!(hand.complete(&[ended(&running[0], done())]).await.is_empty(), "what runs goes on");
        hold(db.pool(), Scope::Queue, "another").await;
        assert_eq!(pause::resume(db.pool(), scope, name, "bob").await.expect("resumed"), 1);
        assert_eq!(hand.take(10).await.len(), 1);
        let record: (String, Option<String>, Option<String>) =
            sqlx::query_as("select paused_by, reason, resumed_by from engine.pause where name = $1")
                .bind(name)
                .fetch_one(db.pool())
                .await
                .expect("it stays on record");
        assert_eq!(record, ("ann".into(), Some("a move".into()), Some("bob".into())));
    }
}

#[tokio::test]
async fn a_kind_that_is_held_stays_held_for_a_priority_it_never_had() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    hold(db.pool(), Scope::Kind, "test.no_op").await;
    Client::new(db.pool().clone()).enqueue(&of(&NoOp { n: 1 }).priority(0)).await.expect("enqueued");
    assert!(hand.take(10).await.is_empty());
}

#[tokio::test]
async fn a_maintenance_window_begins_and_ends_by_itself() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    limit(db.pool(), "shop:*", 5, false).await;
    let mut hand = Hand::new(db.pool()).await;
    let hour = |hours| Some(Utc::now() + TimeDelta::hours(hours));
    let window = Window { from: hour(1), until: hour(2) };
    for (scope, name) in [(Scope::Queue, "default"), (Scope::Key, "shop:*")] {
        pause::begin(db.pool(), scope, name, window, "ann", None).await.expect("planned");
    }
    let run = async |hand: &mut Hand| {
        let key = enqueue(db.pool(), "shop:1", 1).await[0];
        let admitted = hand.admit("shop:1").await;
        let taken = hand.take(10).await;
        for job in &taken {
            hand.complete(&[ended(job, done())]).await;
        }
        (admitted, state_of(db.pool(), key).await)
    };
    assert_eq!(run(&mut hand).await, (1, "completed".into()), "before it");
    clock::step(db.pool(), 5400.0).await;
    assert_eq!(run(&mut hand).await, (0, "waiting".into()), "in it");
    clock::step(db.pool(), 3600.0).await;
    assert_eq!(run(&mut hand).await, (2, "completed".into()), "after it, with what waited");
    assert!(pause::list(db.pool()).await.expect("listed").is_empty());
}

#[tokio::test]
async fn a_key_that_is_held_takes_back_what_had_not_begun_and_keeps_the_order() {
    let db = Database::new().await;
    limit(db.pool(), "one", 2, false).await;
    let mut hand = Hand::new(db.pool()).await;
    let jobs = enqueue(db.pool(), "one", 4).await;
    let other = enqueue(db.pool(), "other", 1).await[0];
    hand.admit("one").await;
    hand.admit("other").await;
    let running = hand.take(1).await;
    hold(db.pool(), Scope::Key, "one").await;
    assert_eq!(state_of(db.pool(), jobs[1]).await, "waiting", "it stood in ready");
    hand.complete(&[ended(&running[0], done())]).await;
    let next = hand.take(10).await;
    assert_eq!(next.iter().map(|job| job.job_id).collect::<Vec<_>>(), [other], "the slot was not handed on");
    hand.complete(&[ended(&next[0], done())]).await;
    assert_eq!(hand.admit("one").await, 0);
    pause::resume(db.pool(), Scope::Key, "one", "ann").await.expect("resumed");
    assert_eq!(hand.admit("one").await, 2);
    let rest = hand.take(10).await;
    assert_eq!(rest.iter().map(|job| job.job_id).collect::<Vec<_>>(), jobs[1..3]);
    hand.complete(&[ended(&rest[0], done()), ended(&rest[1], done())]).await;
    let last = hand.take(10).await;
    hand.complete(&[ended(&last[0], done())]).await;
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn nothing_brings_a_job_of_a_held_key_back_into_ready() {
    let db = Database::new().await;
    limit(db.pool(), "one", 3, true).await;
    let mut hand = Hand::new(db.pool()).await;
    let jobs = enqueue(db.pool(), "one", 3).await;
    hand.admit("one").await;
    let taken = hand.take(3).await;
    hold(db.pool(), Scope::Key, "o*").await;
    hand.settle(&[ended(&taken[0], Verdict::Released), ended(&taken[1], Verdict::Snoozed(1))]).await;
    due_now(db.pool()).await;
    promote(&mut hand.connection).await;
    hand.die().await;
    claim::rescue(&mut hand.connection, Orphan { worker_id: hand.id, id: taken[2].claim_id }).await.expect("rescued");
    for job in &jobs {
        assert_eq!(state_of(db.pool(), *job).await, "waiting");
    }
    assert_eq!(count(db.pool(), "select count(*) from engine.slot").await, 0);
    let mut hand = Hand::new(db.pool()).await;
    pause::resume(db.pool(), Scope::Key, "o*", "ann").await.expect("resumed");
    assert_eq!(hand.admit("one").await, 3);
    let again = hand.take(10).await;
    assert_eq!(again.iter().map(|job| (job.job_id, job.attempt)).collect::<Vec<_>>(), [(jobs[0], 2), (jobs[1], 2), (jobs[2], 2)]);
}

#[tokio::test]
async fn a_window_that_ends_before_it_begins_is_refused() {
    let db = Database::new().await;
    let window = Window { from: Some(Utc::now() + TimeDelta::hours(2)), until: Some(Utc::now() + TimeDelta::hours(1)) };
    for (window, name) in
        [(window, "default"), (Window { from: None, until: Some(Utc::now() - TimeDelta::hours(1)) }, "default"), (Window::default(), "")]
    {
        let refused = pause::begin(db.pool(), Scope::Queue, name, window, "ann", None).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
}
