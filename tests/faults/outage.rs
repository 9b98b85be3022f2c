//! The server is stopped while workers are busy: nobody is declared dead for that, and running jobs run on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use engine::{Client, NewJob};
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::cli::program::command;
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

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_costs_a_line_of_log_a_second_and_the_process_works_on_within_5_seconds_of_its_end() {
    let mut server = Private::start().await;
    let pool = server.pool().clone();
    let mut worker = command(&["worker"]);
    worker.env("DATABASE_URL", server.url());
    let mut worker = worker.spawn().expect("the program can be run");
    let pid = worker.id().expect("it runs");
    let lines = Arc::new(AtomicUsize::new(0));
    let said = {
        let (lines, log) = (lines.clone(), worker.stderr.take().expect("standard error is ours"));
        tokio::spawn(async move {
            let mut log = BufReader::new(log).lines();
            while let Ok(Some(_)) = log.next_line().await {
                lines.fetch_add(1, Ordering::AcqRel);
            }
        })
    };
    ledger::worker_of(&pool, pid).await;
    let before = lines.load(Ordering::Acquire);
    let begun = Instant::now();
    server.stop().await;
    tokio::time::sleep(Duration::from_secs(8).saturating_sub(begun.elapsed())).await;
    assert!(worker.try_wait().expect("a child can be asked").is_none(), "it stays up");
    let said_meanwhile = lines.load(Ordering::Acquire) - before;
    println!("{said_meanwhile} lines in {:?}", begun.elapsed());
    assert!((1..=10).contains(&said_meanwhile), "{said_meanwhile} lines in 8 s");
    server.start_again().await;
    let job = NewJob::of(&jobs::health::PruneEnqueueKeys {}).expect("arguments serialise");
    let back = Instant::now();
    Client::new(pool.clone()).enqueue(&job).await.expect("enqueued");
    wait::until("the job is done", Duration::from_secs(5), || async { ledger::outcome(&pool, "completed").await == 1 }).await;
    println!("done {:?} after the server was back", back.elapsed());
    worker.kill().await.expect("it can be killed");
    said.await.expect("no panic");
}
