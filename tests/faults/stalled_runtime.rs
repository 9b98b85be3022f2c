//! Handlers that block every thread of a worker's runtime keep nothing from the others.

use std::time::Duration;

use engine::{Client, NewJob};

use crate::support::{
    Database,
    kinds::{Block, NoOp},
    ledger::{self, count},
    process::WorkerOptions,
    wait::until,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_blocked_worker_holds_runs_elsewhere_and_its_late_results_are_refused() {
    let db = Database::new().await;
    let pool = db.pool();
    let blocked = WorkerOptions::new(db.url()).concurrency(8).stall_limit(Duration::from_secs(1)).start();
    ledger::worker_of(pool, blocked.pid()).await;
    let block = NewJob::of(&Block { ms: 12_000 }).expect("arguments serialise");
    let client = Client::new(pool.clone());
    // The runtime of a test worker has two threads.
    client.enqueue_many(&vec![block; 2]).await.expect("enqueued");
    until("both threads block", Duration::from_secs(10), async || count(pool, "select count(*) from engine.ready").await == 0).await;
    let free = WorkerOptions::new(db.url()).start();
    ledger::worker_of(pool, free.pid()).await;
    client.enqueue(&NewJob::of(&NoOp { n: 1 }).expect("arguments serialise")).await.expect("enqueued");

    // Well before the handlers return: what they held was lost once and then completed by the other worker.
    ledger::all_ended(pool, Duration::from_secs(10)).await;
    let lost = "select count(*) from engine.attempt where outcome = 'lost' and attempt = 1";
    assert_eq!(count(pool, lost).await, 2);
    assert_eq!(ledger::outcome(pool, "completed").await, 3);

    // Awake again it has nothing to say about them, registers anew and works.
    let alive = "select count(*) from engine.worker where dead_at is null";
    until("the blocked worker is back", Duration::from_secs(20), async || count(pool, alive).await == 2).await;
    drop(free);
    client.enqueue(&NewJob::of(&NoOp { n: 2 }).expect("arguments serialise")).await.expect("enqueued");
    ledger::all_ended(pool, Duration::from_secs(10)).await;
    ledger::check(pool).await;
}
