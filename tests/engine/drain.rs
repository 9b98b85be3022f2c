//! A worker that drains runs what is due and what comes of it, leaves the rest, and ends.

use std::time::Duration;

use engine::{
    Client, Drained, JobId, Kinds, Limit, NewJob, Worker, WorkerConfig, WorkerError,
    store::pause::{self, Scope, Window},
};
use sqlx::PgPool;

use super::hand::count;
use super::jobs::{Running, of, outcomes, state_of, until_state};
use crate::support::{
    Database,
    flows::{self, Act, Flow},
    kinds::{self, Fail, NoOp, Sleep},
    wait::until,
};

/// No test takes that long.
const LIMIT: Duration = Duration::from_mins(2);

async fn drain(pool: &PgPool) -> Drained {
    Worker::new(pool.clone(), kinds::kinds(), WorkerConfig::default()).drain(LIMIT).await.expect("nothing is left in time")
}

/// Waits until no worker lives: one that goes while the answer to a claim is out leaves its lease to run out.
async fn until_gone(pool: &PgPool) {
    let living = "select count(*) from engine.worker where lease_until > engine.now()";
    until("no worker lives", LIMIT, || async { count(pool, living).await == 0 }).await;
}

async fn enqueue(pool: &PgPool, job: &NewJob) -> JobId {
    Client::new(pool.clone()).enqueue(job).await.expect("enqueued").id
}

#[tokio::test]
async fn a_drain_with_nothing_to_do_does_nothing_and_ends() {
    let db = Database::new().await;
    assert_eq!(drain(db.pool()).await, Drained::default());
    until_gone(db.pool()).await;
}

#[tokio::test]
async fn a_drain_runs_what_is_due_and_what_comes_of_it_and_leaves_the_rest() {
    let db = Database::new().await;
    let pool = db.pool();
    sqlx::query("update engine.retry_config set backoff_seconds = '{3600}', version = 2 where error_category = 'unknown'")
        .execute(pool)
        .await
        .expect("edited");
    let due = enqueue(pool, &of(&NoOp { n: 1 })).await;
    let parent = enqueue(pool, &of(&Flow { acts: vec![Act::Crowd(3)] })).await;
    let failing = enqueue(pool, &of(&Fail { category: "unknown".into(), times: 1 })).await;
    let dying = enqueue(pool, &of(&Fail { category: "validation".into(), times: 1 })).await;
    let later = enqueue(pool, &of(&NoOp { n: 2 }).delay(Duration::from_hours(1))).await;
    let elsewhere = enqueue(pool, &of(&NoOp { n: 3 }).queue("elsewhere")).await;
    let event = enqueue(pool, &of(&Flow { acts: vec![Act::Wait("approval".into(), String::new(), None)] })).await;
    let drained = drain(pool).await;
    assert_eq!((drained.completed, drained.failed, drained.cancelled, drained.snoozed), (5, 2, 0, 0), "{drained:?}");
    assert!(drained.waiting >= 1, "{drained:?}");
    for (id, state) in [
        (due, "completed"),
        (parent, "completed"),
        (failing, "scheduled"),
        (dying, "dead"),
        (later, "scheduled"),
        (elsewhere, "ready"),
        (event, "parked"),
    ] {
        assert_eq!(state_of(pool, id).await, state, "job {id}");
    }
}

#[tokio::test]
async fn a_drain_undoes_workflows_that_die_in_it() {
    let db = Database::new().await;
    flows::make_trace_table(db.pool()).await;
    let dying = enqueue(db.pool(), &of(&Flow { acts: vec![Act::Undo("undo".into()), Act::Die] })).await;
    drain(db.pool()).await;
    assert_eq!(state_of(db.pool(), dying).await, "dead");
    assert_eq!(count(db.pool(), "select count(*) from test_trace where name = 'undo'").await, 1);
    assert_eq!(count(db.pool(), "select count(*) from engine.job_state where state not in ('completed', 'dead')").await, 0);
}

#[tokio::test]
async fn a_drain_runs_jobs_that_follow_each_other_on_one_slot() {
    let db = Database::new().await;
    for n in 0..20 {
        enqueue(db.pool(), &of(&NoOp { n }).limit_key("one")).await;
    }
    let kinds = Kinds::new().with::<NoOp>().limit(Limit::of_key("one").at_once(1));
    let drained = Worker::new(db.pool().clone(), kinds, WorkerConfig::default()).drain(LIMIT).await.expect("in time");
    assert_eq!(drained, Drained { completed: 20, ..Drained::default() });
}

#[tokio::test]
async fn a_drain_leaves_what_is_held() {
    let db = Database::new().await;
    for (scope, name) in [(Scope::Queue, "default"), (Scope::Key, "shop:*")] {
        pause::begin(db.pool(), scope, name, Window::default(), "ada", None).await.expect("held");
    }
    let of_queue = enqueue(db.pool(), &of(&NoOp { n: 1 })).await;
    let of_key = enqueue(db.pool(), &of(&Sleep { ms: 1 }).queue("other").limit_key("shop:1")).await;
    let config = WorkerConfig { queues: vec!["default".into(), "other".into()], ..WorkerConfig::default() };
    let drained = Worker::new(db.pool().clone(), kinds::kinds(), config).drain(LIMIT).await.expect("in time");
    assert_eq!(drained, Drained::default());
    assert_eq!((state_of(db.pool(), of_queue).await, state_of(db.pool(), of_key).await), ("ready".into(), "waiting".into()));
}

#[tokio::test]
async fn a_drain_waits_for_what_runs_on_another_worker() {
    let db = Database::new().await;
    let id = enqueue(db.pool(), &of(&Sleep { ms: 3000 })).await;
    let other = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "running").await;
    assert_eq!(drain(db.pool()).await, Drained::default(), "the other one ran it");
    assert_eq!(state_of(db.pool(), id).await, "completed");
    other.stop().await;
}

#[tokio::test]
async fn a_drain_that_takes_too_long_gives_back_what_runs_and_says_so() {
    let db = Database::new().await;
    let id = enqueue(db.pool(), &of(&Sleep { ms: 600_000 })).await;
    let config = WorkerConfig { grace: Duration::from_secs(5), ..WorkerConfig::default() };
    let draining = tokio::spawn(Worker::new(db.pool().clone(), kinds::kinds(), config).drain(Duration::from_secs(2)));
    let error = draining.await.expect("it does not panic").expect_err("a job is left");
    assert!(matches!(error, WorkerError::NotDrained(_)), "{error}");
    // On a machine with a load of its own it may not even have begun.
    assert!(outcomes(db.pool(), id).await.iter().all(|outcome| outcome == "released"));
    assert_eq!(state_of(db.pool(), id).await, "ready");
}

#[tokio::test]
async fn a_drain_that_is_dropped_leaves_a_worker_that_ends_in_good_order() {
    let db = Database::new().await;
    let id = enqueue(db.pool(), &of(&Sleep { ms: 600_000 })).await;
    let config = WorkerConfig { grace: Duration::from_secs(1), ..WorkerConfig::default() };
    let worker = Worker::new(db.pool().clone(), kinds::kinds(), config);
    tokio::select! {
        drained = worker.drain(LIMIT) => panic!("a job is left: {drained:?}"),
        () = until_state(db.pool(), id, "running") => (),
    }
    until_state(db.pool(), id, "ready").await;
    assert_eq!(outcomes(db.pool(), id).await, ["released"]);
    until_gone(db.pool()).await;
}

#[tokio::test]
async fn a_worker_that_makes_no_sense_does_not_drain() {
    let db = Database::new().await;
    let config = WorkerConfig { concurrency: 0, ..WorkerConfig::default() };
    let refused = Worker::new(db.pool().clone(), kinds::kinds(), config).drain(LIMIT).await;
    assert!(matches!(refused, Err(WorkerError::Config(_))));
}
