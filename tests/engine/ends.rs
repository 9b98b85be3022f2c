//! Ends are recorded many in one commit, and what keeps one of them keeps no other.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use engine::{Client, Job, JobResult, Kinds, Outcome, Run, WorkerConfig, store::queue};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{
    hand::{count, enqueue},
    jobs::{Running, of, outcomes, state_of, until_state},
};
use crate::support::{Database, kinds::NoOp, ledger, wait};

static RUNS: AtomicBool = AtomicBool::new(false);
static GO_ON: Notify = Notify::const_new();

/// Ends when it is told to.
#[derive(Serialize, Deserialize)]
struct Told {}

impl Job for Told {
    const KIND: &'static str = "test.told";

    async fn run(&self, _: &mut Run) -> JobResult {
        RUNS.store(true, Ordering::Release);
        GO_ON.notified().await;
        Ok(Outcome::done())
    }
}

#[tokio::test]
async fn a_transaction_that_takes_a_key_over_and_stays_open_keeps_only_the_end_of_its_holder() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let until_started = || of(&Told {}).unique_key("k").unique_until_started();
    let held = client.enqueue(&until_started()).await.expect("enqueued").id;
    let worker = Running::with(db.pool(), Kinds::new().with::<Told>().with::<NoOp>(), WorkerConfig::default());
    wait::until("it runs", Duration::from_secs(20), || async { RUNS.load(Ordering::Acquire) }).await;
    let mut tx = db.pool().begin().await.expect("a transaction");
    assert!(engine::enqueue_in(&mut tx, &until_started()).await.expect("answered").created, "the other one runs");

    GO_ON.notify_one();
    enqueue(db.pool(), 100).await;
    wait::until("all others have ended", Duration::from_secs(20), || async {
        count(db.pool(), "select count(*) from engine.attempt where outcome = 'completed'").await == 100
    })
    .await;
    assert_eq!(state_of(db.pool(), held).await, "running", "as far as anybody knows");
    tx.commit().await.expect("committed");
    until_state(db.pool(), held, "completed").await;
    GO_ON.notify_one();
    wait::until("its successor too", Duration::from_secs(20), || async {
        count(db.pool(), "select count(*) from engine.attempt where outcome = 'completed'").await == 102
    })
    .await;
    worker.stop().await;
    ledger::check(db.pool()).await;
}

/// Enqueues another in a queue that is full.
#[derive(Serialize, Deserialize)]
struct Follows {}

impl Job for Follows {
    const KIND: &'static str = "test.follows";

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        run.enqueue_in(&mut tx, &of(&NoOp { n: 1 }).queue("full")).await?;
        run.complete_in(tx, serde_json::Value::Null).await
    }
}

#[tokio::test]
async fn a_job_that_a_full_queue_refuses_its_follower_comes_back_later() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    client.enqueue(&of(&NoOp { n: 0 }).queue("full")).await.expect("there is room");
    sqlx::query("select engine.measure_figures(0)").execute(db.pool()).await.expect("measured");
    queue::set_limit(db.pool(), "full", Some(1)).await.expect("set");
    let id = client.enqueue(&of(&Follows {})).await.expect("enqueued").id;
    let worker = Running::with(db.pool(), Kinds::new().with::<Follows>(), WorkerConfig::default());
    wait::until("it was refused", Duration::from_secs(20), || async { !outcomes(db.pool(), id).await.is_empty() }).await;
    queue::set_limit(db.pool(), "full", None).await.expect("taken away");
    let failed = "select count(*) from engine.attempt where category = 'not_ready' and error like 'queue full is full%'";
    assert!(count(db.pool(), failed).await > 0);
    until_state(db.pool(), id, "completed").await;
    worker.stop().await;
    ledger::check(db.pool()).await;
}
