//! Unique by key or arguments, for a time, until started; replaced, and debounced.

use std::time::Duration;

use engine::{Category, Client, Enqueued, JobId, NewJob, StoreError};
use sqlx::PgPool;

use super::{
    hand::{Hand, count, done, due_now, ended, enqueue, failed},
    jobs::{of, state_of},
};
use crate::support::{Database, clock, kinds::NoOp, wait};

async fn put(pool: &PgPool, job: NewJob) -> Enqueued {
    Client::new(pool.clone()).enqueue(&job).await.expect("answered")
}

async fn words(pool: &PgPool, id: JobId) -> Option<String> {
    sqlx::query_scalar("select error from engine.job_state where id = $1").bind(id).fetch_one(pool).await.expect("its state")
}

#[tokio::test]
async fn the_same_arguments_make_one_job_however_they_are_written() {
    let db = Database::new().await;
    let first = put(db.pool(), of(&NoOp { n: 1 }).unique_args()).await;
    let again = put(db.pool(), of(&NoOp { n: 1 }).unique_args()).await;
    assert_eq!((again.id, again.created), (first.id, false));
    let from_sql: (JobId, bool) =
        sqlx::query_as("select id, created from engine.enqueue('test.no_op', '{ \"n\" :1 }', unique_args => true)")
            .fetch_one(db.pool())
            .await
            .expect("answered");
    assert_eq!(from_sql, (first.id, false));
    let jobs = [of(&NoOp { n: 1 }).unique_args(), of(&NoOp { n: 2 }).unique_args(), of(&NoOp { n: 2 }).unique_args()];
    let made = Client::new(db.pool().clone()).enqueue_many(&jobs).await.expect("answered");
    assert_eq!(made.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
}

#[tokio::test]
async fn who_replaces_a_job_is_made_though_the_time_of_the_key_is_that_of_one_that_ended() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let daily = |n| of(&NoOp { n }).unique_key("k").unique_for(Duration::from_hours(24));
    put(db.pool(), daily(1)).await;
    let job = hand.take(1).await.remove(0);
    hand.complete(&[ended(&job, done())]).await;
    // As a dead letter does that is run again.
    let again = put(db.pool(), of(&NoOp { n: 1 }).unique_key("k")).await;
    assert!(again.created);
    let next = put(db.pool(), daily(2).replace()).await;
    assert!(next.created, "{next:?}");
    assert_eq!(state_of(db.pool(), again.id).await, "cancelled");
    assert_eq!(put(db.pool(), daily(3)).await.id, next.id, "its time is counted from now on");
}

#[tokio::test]
async fn a_key_that_is_held_for_a_time_outlives_its_job() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    let mut hand = Hand::new(db.pool()).await;
    let hourly = |n| of(&NoOp { n }).unique_key("k").unique_for(Duration::from_hours(1));
    let first = put(db.pool(), hourly(1)).await;
    let job = hand.take(1).await.remove(0);
    hand.complete(&[ended(&job, done())]).await;
    let second = put(db.pool(), hourly(2)).await;
    assert_eq!((second.id, second.created), (first.id, false), "it ended, and its hour is not over");
    assert_eq!(count(db.pool(), "select count(*) from engine.unique_key").await, 0, "who was refused holds nothing");
    clock::step(db.pool(), 3601.0).await;
    assert!(put(db.pool(), hourly(3)).await.created);
    clock::step(db.pool(), 3601.0).await;
    assert!(!put(db.pool(), hourly(4)).await.created, "the hour is over, and the job lives");
    let mut connection = db.pool().acquire().await.expect("a connection");
    assert_eq!(engine::store::unique_period::prune(&mut connection, 10).await.expect("pruned"), 1);
}

#[tokio::test]
async fn a_replacement_cancels_what_has_not_started_and_leaves_what_runs() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let first = put(db.pool(), of(&NoOp { n: 1 }).unique_key("k")).await;
    let second = put(db.pool(), of(&NoOp { n: 2 }).unique_key("k").replace()).await;
    assert!(second.created);
    assert_eq!(state_of(db.pool(), first.id).await, "cancelled");
    assert_eq!(words(db.pool(), first.id).await, Some(format!("replaced by job {}", second.id)));
    let job = hand.take(5).await;
    assert_eq!(job.iter().map(|job| job.job_id).collect::<Vec<_>>(), [second.id]);
    let third = put(db.pool(), of(&NoOp { n: 3 }).unique_key("k").replace()).await;
    assert_eq!((third.id, third.created), (second.id, false), "it runs");
    hand.settle(&[ended(&job[0], failed(Category::Network))]).await;
    let fourth = put(db.pool(), of(&NoOp { n: 4 }).unique_key("k").replace()).await;
    assert!(fourth.created, "it waits for its retry");
    assert_eq!(state_of(db.pool(), second.id).await, "cancelled");
}

#[tokio::test]
async fn a_replacement_that_is_rolled_back_leaves_the_job_as_it_was() {
    let db = Database::new().await;
    let first = put(db.pool(), of(&NoOp { n: 1 }).unique_key("k")).await;
    let mut tx = db.pool().begin().await.expect("a transaction");
    assert!(engine::enqueue_in(&mut tx, &of(&NoOp { n: 2 }).unique_key("k").replace()).await.expect("answered").created);
    tx.rollback().await.expect("rolled back");
    assert_eq!(state_of(db.pool(), first.id).await, "ready");
    assert_eq!(put(db.pool(), of(&NoOp { n: 3 }).unique_key("k")).await.id, first.id);
}

#[tokio::test]
async fn a_job_that_is_unique_until_it_starts_is_not_tried_again_beside_its_successor() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let until_started = |n| of(&NoOp { n }).unique_key("k").unique_until_started();
    let first = put(db.pool(), until_started(1)).await;
    assert!(!put(db.pool(), until_started(2)).await.created, "it has not started");
    let running = hand.take(1).await.remove(0);
    let second = put(db.pool(), until_started(3)).await;
    assert!(second.created, "it runs");
    assert_eq!(put(db.pool(), until_started(4)).await.id, second.id);
    hand.settle(&[ended(&running, failed(Category::Network))]).await;
    assert_eq!(state_of(db.pool(), first.id).await, "cancelled");
    assert_eq!(words(db.pool(), first.id).await, Some(format!("job {} took its unique key over", second.id)));

    let running = hand.take(1).await.remove(0);
    assert_eq!(running.job_id, second.id);
    let third = put(db.pool(), until_started(5)).await;
    hand.be_rescued().await;
    assert_eq!(state_of(db.pool(), second.id).await, "cancelled", "nor after its worker died");
    assert_eq!(state_of(db.pool(), third.id).await, "ready");
}

#[tokio::test]
async fn a_job_whose_key_goes_over_while_its_end_is_recorded_does_not_name_itself() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let until_started = |n| of(&NoOp { n }).unique_key("k").unique_until_started();
    let first = put(db.pool(), until_started(1)).await;
    let running = hand.take(1).await.remove(0);
    let mut tx = db.pool().begin().await.expect("a transaction");
    let second = engine::enqueue_in(&mut tx, &until_started(2)).await.expect("answered");
    assert!(second.created, "it runs");
    let commits = async {
        let blocked = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        wait::until("its end waits for the key", Duration::from_secs(30), || async { count(db.pool(), blocked).await > 0 }).await;
        tx.commit().await.expect("committed");
    };
    let end = [ended(&running, failed(Category::Network))];
    tokio::join!(hand.settle(&end), commits);
    assert_eq!(state_of(db.pool(), first.id).await, "cancelled");
    assert_eq!(words(db.pool(), first.id).await.as_deref(), Some("a newer job took its unique key over"));
    assert_eq!(state_of(db.pool(), second.id).await, "ready");
}

#[tokio::test]
async fn a_job_whose_successor_has_ended_already_says_that_there_was_one() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let until_started = |n| of(&NoOp { n }).unique_key("k").unique_until_started();
    let first = put(db.pool(), until_started(1)).await;
    let running = hand.take(1).await.remove(0);
    put(db.pool(), until_started(2)).await;
    let successor = hand.take(1).await.remove(0);
    hand.settle(&[ended(&successor, failed(Category::Validation))]).await;
    hand.settle(&[ended(&running, failed(Category::Network))]).await;
    assert_eq!(words(db.pool(), first.id).await.as_deref(), Some("a newer job took its unique key over"));
}

#[tokio::test]
async fn a_debounced_job_runs_once_after_the_last_call_with_its_arguments() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    let calls = |n| of(&NoOp { n }).unique_key("k").debounce(Duration::from_secs(10), Duration::from_mins(1));
    let left = "select round(extract(epoch from run_at - engine.now()))::bigint from engine.scheduled";
    let mut last = put(db.pool(), calls(0)).await;
    for n in 1..=8 {
        clock::step(db.pool(), 7.0).await;
        last = put(db.pool(), calls(n)).await;
        assert!(last.created);
        assert_eq!(count(db.pool(), left).await, 10.min(60 - 7 * n), "from the last call, and a minute from the first");
    }
    assert_eq!(count(db.pool(), "select count(*) from engine.place").await, 1);
    assert_eq!(state_of(db.pool(), last.id).await, "scheduled");
    assert_eq!(count(db.pool(), "select count(*) from engine.attempt where outcome = 'cancelled'").await, 8);

    clock::step(db.pool(), 5.0).await;
    let next = put(db.pool(), calls(9)).await;
    assert!(next.created);
    assert_eq!(state_of(db.pool(), last.id).await, "scheduled", "what has waited its longest runs, however many come");
    assert_eq!(count(db.pool(), "select max(round(extract(epoch from run_at - engine.now())))::bigint from engine.scheduled").await, 10);
}

#[tokio::test]
async fn calls_while_the_debounced_job_runs_make_the_next_one() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let calls = |n| of(&NoOp { n }).unique_key("k").debounce(Duration::from_secs(10), Duration::from_mins(1));
    let first = put(db.pool(), calls(1)).await;
    due_now(db.pool()).await;
    super::hand::promote(&mut hand.connection).await;
    assert_eq!(hand.take(1).await[0].job_id, first.id);
    let second = put(db.pool(), calls(2)).await;
    let third = put(db.pool(), calls(3)).await;
    assert!(second.created && third.created);
    assert_eq!(state_of(db.pool(), first.id).await, "running");
    assert_eq!(state_of(db.pool(), second.id).await, "cancelled");
    assert_eq!(state_of(db.pool(), third.id).await, "scheduled");
}

#[tokio::test]
async fn jobs_that_replace_and_plain_ones_come_in_one_batch_with_answers_in_order() {
    let db = Database::new().await;
    let old = put(db.pool(), of(&NoOp { n: 0 }).unique_key("a")).await;
    let jobs = [
        of(&NoOp { n: 1 }),
        of(&NoOp { n: 2 }).unique_key("a").replace(),
        of(&NoOp { n: 3 }).unique_key("b"),
        of(&NoOp { n: 4 }).unique_key("a"),
    ];
    let made = Client::new(db.pool().clone()).enqueue_many(&jobs).await.expect("answered");
    assert_eq!(made.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, true, false]);
    assert_eq!(state_of(db.pool(), old.id).await, "cancelled");
    enqueue(db.pool(), 1).await;
}

#[tokio::test]
async fn options_that_contradict_each_other_are_refused() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let (short, long) = (Duration::from_secs(1), Duration::from_hours(1));
    for job in [
        of(&NoOp { n: 1 }).replace(),
        of(&NoOp { n: 1 }).unique_for(long),
        of(&NoOp { n: 1 }).unique_key("k").unique_for(long).unique_until_started(),
        of(&NoOp { n: 1 }).unique_key("k").debounce(long, short),
        of(&NoOp { n: 1 }).unique_key("k").debounce(short, long).run_at(chrono::Utc::now()),
        of(&NoOp { n: 1 }).unique_key("k").debounce(short, long).delay(short),
    ] {
        let refused = client.enqueue(&job).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{job:?}: {refused:?}");
    }
    assert_eq!(count(db.pool(), "select count(*) from engine.job").await, 0);
}
