//! Long jobs are shared: no worker holds what another could run.

use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::{Client, NewJob};

use crate::support::{Database, kinds::Sleep, ledger, process::WorkerOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_jobs_of_a_second_on_two_workers_of_ten_end_within_6_seconds() {
    let db = Database::new().await;
    let pool = db.pool();
    let workers = WorkerOptions::new(db.url()).concurrency(10).start_many(2);
    for process in &workers {
        ledger::worker_of(pool, process.pid()).await;
    }
    let job = NewJob::of(&Sleep { ms: 1000 }).expect("arguments serialise");
    let begun = ledger::now(pool).await;
    Client::new(pool.clone()).enqueue_many(&vec![job; 100]).await.expect("enqueued");
    ledger::all_ended(pool, Duration::from_secs(20)).await;
    let ended: DateTime<Utc> = sqlx::query_scalar("select max(finished_at) from engine.attempt").fetch_one(pool).await.expect("a time");
    let took = (ended - begun).to_std().expect("they ended after they began");
    println!("100 jobs of 1 s on 2 workers of 10: {took:?}, of which 5 s are needed");
    assert!(took <= Duration::from_secs(6), "they took {took:?}");
    assert_eq!(ledger::outcome(pool, "completed").await, 100);
    ledger::check(pool).await;
}
