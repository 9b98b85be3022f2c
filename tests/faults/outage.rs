//! The server is stopped while workers are busy: nobody is declared dead for that, and running jobs run on.

use std::time::{Duration, Instant};

use engine::{Client, NewJob};
use sqlx::PgPool;

use crate::support::{
    ledger,
    private::Private,
    process::WorkerOptions,
    wait,
    witness::{self, Tally},
};

async fn enqueue(pool: &PgPool, jobs: usize, ms: u64) {
    let job = NewJob::of(&Tally { ms }).expect("arguments serialise");
    Client::new(pool.clone()).enqueue_many(&vec![job; jobs]).await.expect("enqueued");
}

/// Four workers run jobs that end during the outage and jobs that outlast it; more wait.
async fn survive(outage: Duration) {
    let mut server = Private::start().await;
    witness::make_note_table(server.pool()).await;
    let workers = WorkerOptions::new(server.url()).concurrency(8).start_many(4);
    for process in &workers {
        ledger::worker_of(server.pool(), process.pid()).await;
    }
    enqueue(server.pool(), 16, outage.as_millis() as u64 / 2).await;
    enqueue(server.pool(), 16, outage.as_millis() as u64 + 2000).await;
    let pool = server.pool().clone();
    wait::until("all are busy", Duration::from_secs(20), || async { witness::notes(&pool, "started").await == 32 }).await;
    enqueue(&pool, 32, 100).await;

    let begun = Instant::now();
    server.stop().await;
    tokio::time::sleep(outage.saturating_sub(begun.elapsed())).await;
    server.start_again().await;
    let away = begun.elapsed();
    let back = Instant::now();
    wait::until("new jobs start", Duration::from_secs(30), || async { witness::notes(&pool, "started").await > 32 }).await;
    println!("the server was away for {away:?}; the first new job started {:?} after it was back", back.elapsed());

    ledger::all_ended(&pool, Duration::from_mins(1)).await;
    let outcomes = ledger::outcomes(&pool).await;
    println!("attempts: {outcomes:?}");
    assert_eq!(outcomes.get("lost"), None, "an outage makes no live worker dead");
    assert_eq!(ledger::count(&pool, "select count(*) from engine.worker where dead_at is not null").await, 0);
    assert_eq!(outcomes["completed"], 64);
    assert_eq!(witness::notes(&pool, "started").await, 64, "each job was started once");
    drop(workers);
    ledger::check(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_10_seconds_loses_no_attempt() {
    survive(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_60_seconds_loses_no_attempt() {
    survive(Duration::from_mins(1)).await;
}
