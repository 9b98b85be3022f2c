//! Pauses: what operators hold is not begun, what runs goes on, and a window is over by itself.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use engine::{
    Client, JobId, Kinds, Rate, StoreError, WorkerConfig,
    store::{
        attempt::Verdict,
        claim::{self, Orphan},
        limit::{self, Change},
        pause::{self, Scope, Window},
        scheduled, waiting,
    },
};
use sqlx::{Executor, PgPool};

use super::hand::{Hand, count, done, due_now, ended, promote};
use super::jobs::{Running, of, state_of, until_state};
use super::limits::{enqueue, limit as cap};
use crate::support::{
    Database, clock,
    kinds::{NoOp, Sleep},
    ledger,
};

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
    cap(db.pool(), "shop:*", 5, false).await;
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
async fn what_had_begun_before_its_key_was_held_goes_on_before_an_older_job_that_came_late() {
    for way in ["came back before", "came due meanwhile", "was lost meanwhile"] {
        let db = Database::new().await;
        cap(db.pool(), "one", 1, true).await;
        let mut hand = Hand::new(db.pool()).await;
        // The lane is there already: who makes it holds up all that enqueue into it.
        plain(db.pool()).await;
        let first = hand.take(1).await;
        hand.complete(&[ended(&first[0], done())]).await;
        let mut late = db.pool().begin().await.expect("a transaction");
        let older = engine::enqueue_in(&mut late, &of(&NoOp { n: 1 }).limit_key("one")).await.expect("enqueued").id;
        let begun = enqueue(db.pool(), "one", 1).await[0];
        hand.admit("one").await;
        let running = hand.take(1).await;
        if way != "was lost meanwhile" {
            hand.settle(&[ended(&running[0], Verdict::Snoozed(0))]).await;
            due_now(db.pool()).await;
        }
        if way == "came back before" {
            promote(&mut hand.connection).await;
            assert_eq!(state_of(db.pool(), begun).await, "ready");
        }
        hold(db.pool(), Scope::Key, "one").await;
        match way {
            "came due meanwhile" => promote(&mut hand.connection).await,
            "was lost meanwhile" => hand.be_rescued().await,
            _ => (),
        }
        assert_eq!(state_of(db.pool(), begun).await, "waiting", "{way}");
        late.commit().await.expect("committed");
        pause::resume(db.pool(), Scope::Key, "one", "ann").await.expect("resumed");
        let mut hand = Hand::new(db.pool()).await;
        assert_eq!(hand.admit("one").await, 1);
        for next in [begun, older] {
            let taken = hand.take(10).await;
            assert_eq!(taken.iter().map(|job| job.job_id).collect::<Vec<_>>(), [next], "{way}");
            hand.complete(&[ended(&taken[0], done())]).await;
        }
        ledger::check(db.pool()).await;
    }
}

#[tokio::test]
async fn a_key_that_is_held_takes_back_what_had_not_begun_and_keeps_the_order() {
    let db = Database::new().await;
    cap(db.pool(), "one", 2, false).await;
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

async fn take_back(pool: &PgPool) -> i32 {
    waiting::take_back_held(&mut pool.acquire().await.expect("a connection")).await.expect("taken back")
}

#[tokio::test]
async fn what_was_let_in_before_the_window_of_its_key_waits_through_it() {
    for name in ["one", "o*"] {
        let db = Database::new().await;
        clock::own(db.pool()).await;
        cap(db.pool(), "one", 2, false).await;
        let mut hand = Hand::new(db.pool()).await;
        let jobs = enqueue(db.pool(), "one", 3).await;
        let other = enqueue(db.pool(), "two", 1).await[0];
        assert_eq!((hand.admit("one").await, hand.admit("two").await), (2, 1));
        let hour = |hours| Some(Utc::now() + TimeDelta::hours(hours));
        pause::begin(db.pool(), Scope::Key, name, Window { from: hour(1), until: hour(2) }, "ann", None).await.expect("planned");
        assert_eq!(take_back(db.pool()).await, 0, "before it");
        clock::step(db.pool(), 5400.0).await;
        assert_eq!(take_back(db.pool()).await, 2, "in it");
        let taken = hand.take(10).await;
        assert_eq!(taken.iter().map(|job| job.job_id).collect::<Vec<_>>(), [other], "no other key is held");
        hand.complete(&[ended(&taken[0], done())]).await;
        clock::step(db.pool(), 3600.0).await;
        assert_eq!((take_back(db.pool()).await, hand.admit("one").await), (0, 2), "after it");
        let taken = hand.take(10).await;
        assert_eq!(taken.iter().map(|job| job.job_id).collect::<Vec<_>>(), jobs[..2], "in their order");
        hand.complete(&taken.iter().map(|job| ended(job, done())).collect::<Vec<_>>()).await;
        ledger::check(db.pool()).await;
    }
}

#[tokio::test]
async fn a_worker_takes_back_what_it_let_in_when_the_window_begins() {
    let db = Database::new().await;
    let job = enqueue(db.pool(), "one", 1).await[0];
    // It lets in jobs of all kinds, and runs none of this one.
    let worker = Running::with(db.pool(), Kinds::new().with::<Sleep>(), WorkerConfig::default());
    until_state(db.pool(), job, "ready").await;
    let window = Window { from: Some(Utc::now() + TimeDelta::milliseconds(300)), until: None };
    pause::begin(db.pool(), Scope::Key, "one", window, "ann", None).await.expect("planned");
    until_state(db.pool(), job, "waiting").await;
    pause::resume(db.pool(), Scope::Key, "one", "ann").await.expect("resumed");
    until_state(db.pool(), job, "ready").await;
    worker.stop().await;
}

#[tokio::test]
async fn what_is_let_in_by_who_did_not_see_the_pause_is_taken_back() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let jobs = enqueue(db.pool(), "one", 1).await;
    let mut late = db.pool().begin().await.expect("a transaction");
    late.execute("set transaction isolation level repeatable read").await.expect("set");
    late.execute("select from engine.lane").await.expect("this is what it sees");
    hold(db.pool(), Scope::Key, "one").await;
    assert_eq!(waiting::admit(&mut late, &["one".into()]).await.expect("admitted"), Some(1));
    late.commit().await.expect("committed");
    assert_eq!(state_of(db.pool(), jobs[0]).await, "ready");
    assert_eq!(take_back(db.pool()).await, 1);
    assert!(hand.take(10).await.is_empty());
    pause::resume(db.pool(), Scope::Key, "one", "ann").await.expect("resumed");
    assert_eq!((hand.admit("one").await, hand.take(10).await.len()), (1, 1));
}

#[tokio::test]
async fn nothing_brings_a_job_of_a_held_key_back_into_ready() {
    let db = Database::new().await;
    cap(db.pool(), "one", 3, true).await;
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
async fn a_suspect_waits_while_its_key_is_held_and_for_its_rate() {
    let db = Database::new().await;
    let job = enqueue(db.pool(), "one", 1).await[0];
    Hand::new(db.pool()).await.admit("one").await;
    for _ in 0..2 {
        let mut hand = Hand::new(db.pool()).await;
        assert_eq!(hand.take(1).await.len(), 1);
        hand.be_rescued().await;
    }
    due_now(db.pool()).await;
    let mut hand = Hand::new(db.pool()).await;
    let is_due = async |hand: &mut Hand| {
        let due = scheduled::suspects_due(&mut hand.connection, hand.id, &hand.kinds, &hand.queues).await.expect("told");
        let taken = hand.take_alone().await;
        assert_eq!(due, taken.iter().any(|suspect| suspect.job_id == job), "a worker that lets all else end for it gets it");
        due
    };
    hold(db.pool(), Scope::Key, "one").await;
    assert!(!is_due(&mut hand).await, "its key is held");
    pause::resume(db.pool(), Scope::Key, "one", "ann").await.expect("resumed");
    let hourly = Change { rate: Some(Some(Rate::new(1, Duration::from_hours(1)))), ..Change::default() };
    limit::set(db.pool(), Scope::Key, "one", hourly, "ann").await.expect("set");
    sqlx::query("insert into engine.pace (limit_key, free_at) values ('one', engine.now() + interval '1 hour')")
        .execute(db.pool())
        .await
        .expect("as if another had run");
    assert!(!is_due(&mut hand).await, "the rate of its key has nothing left");
    sqlx::query("delete from engine.pace").execute(db.pool()).await.expect("an hour later");
    assert!(is_due(&mut hand).await);
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
