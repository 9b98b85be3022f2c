//! Jobs that kill their worker, among many that do not: each killer ends as a dead letter, no neighbour is blamed.

use std::time::{Duration, Instant};

use engine::{Client, NewJob};
use sqlx::PgPool;

use crate::support::{
    Database,
    kinds::Kill,
    ledger,
    process::{WorkerOptions, WorkerProcess},
};

const GOOD: usize = 20_000;
const KILLERS: usize = 20;

/// One kind and one lane for all, so that every batch of 200 around a killer dies with it.
async fn enqueue(pool: &PgPool) {
    let ways = ["abort", "stack", "memory"];
    let how = |n: usize| if n % (GOOD / KILLERS) == 500 { ways[n / (GOOD / KILLERS) % 3] } else { "spare" };
    let mut jobs: Vec<NewJob> = Vec::new();
    for n in 0..GOOD {
        if how(n) != "spare" {
            jobs.push(NewJob::of(&Kill { how: how(n).into() }).expect("arguments serialise"));
        }
        jobs.push(NewJob::of(&Kill { how: "spare".into() }).expect("arguments serialise"));
    }
    assert_eq!(jobs.len(), GOOD + KILLERS);
    Client::new(pool.clone()).enqueue_many(&jobs).await.expect("enqueued");
}

/// Starts every worker that has died again; returns how many had.
fn revive(options: &WorkerOptions, workers: &mut [WorkerProcess]) -> usize {
    let mut deaths = 0;
    for process in workers {
        if process.has_ended() {
            *process = options.start();
            deaths += 1;
        }
    }
    deaths
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_killers_among_20_000_good_jobs_are_dead_letters_and_nobody_else_is() {
    let db = Database::new().await;
    let pool = db.pool();
    enqueue(pool).await;
    let options = WorkerOptions::new(db.url()).concurrency(8).batch(200).lease(Duration::from_millis(500)).address_space_kib(1 << 20);
    let mut workers = options.start_many(3);
    let (begun, mut deaths) = (Instant::now(), 0);
    while open(pool).await {
        assert!(begun.elapsed() < Duration::from_mins(3), "every job ends");
        deaths += revive(&options, &mut workers);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("{} jobs ended in {:?} over {deaths} deaths of workers", GOOD + KILLERS, begun.elapsed());
    let outcomes = ledger::outcomes(pool).await;
    println!("attempts: {outcomes:?}");
    assert_eq!((outcomes["completed"], outcomes["dead"]), (GOOD as i64, KILLERS as i64));
    let innocent = "select count(*) from engine.dead_letter_queue where category <> 'poison' or payload ->> 'how' = 'spare'";
    assert_eq!(ledger::count(pool, innocent).await, 0, "only killers are dead, of poison");
    drop(workers);
    ledger::check(pool).await;
}

/// Whether a job has not ended.
async fn open(pool: &PgPool) -> bool {
    let final_ = "select count(*) from engine.attempt where outcome in ('completed', 'dead', 'cancelled')";
    ledger::count(pool, final_).await < (GOOD + KILLERS) as i64
}
