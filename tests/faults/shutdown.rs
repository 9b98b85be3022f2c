//! SIGTERM: what runs may end, what has not begun goes to the others at once.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use engine::{Client, NewJob};
use sqlx::PgPool;

use crate::support::{
    Database, ledger,
    process::{WorkerOptions, WorkerProcess},
    wait,
    witness::{self, Tally},
};

/// As many as three workers have for a second or two.
const JOBS: usize = 4000;

async fn enqueue(pool: &PgPool, jobs: usize, ms: u64) {
    let job = NewJob::of(&Tally { ms }).expect("arguments serialise");
    Client::new(pool.clone()).enqueue_many(&vec![job; jobs]).await.expect("enqueued");
}

/// Sends SIGTERM and waits for the end of the process, which may have been stopped.
async fn terminate(process: WorkerProcess) -> Duration {
    process.signal("TERM");
    process.signal("CONT");
    let process = RefCell::new(process);
    wait::until("a worker told to stop ends", Duration::from_secs(30), async || process.borrow_mut().has_ended()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_told_to_stop_drains_and_releases_what_it_had_not_begun() {
    let db = Database::new().await;
    let pool = db.pool();
    witness::make_note_table(pool).await;
    let grace = Duration::from_secs(20);
    let mut workers = WorkerOptions::new(db.url()).concurrency(4).grace(grace).start_many(3);
    // All are there before the work is, or the others have done it before the last one holds anything.
    for process in &workers {
        ledger::worker_of(pool, process.pid()).await;
    }
    let leaver = workers.pop().expect("three were started");
    let worker = ledger::worker_of(pool, leaver.pid()).await;
    // Quick ones, since of slow ones it holds none ahead, and on a busy machine each is slower.
    enqueue(pool, JOBS, 3).await;
    let enqueued = Cell::new(JOBS);
    // It is stopped, so that it still holds them when it is told to end; but not before, since it holds less the longer jobs take.
    let is_ahead = async || ledger::held_by(pool, worker).await > 12;
    wait::until("it holds jobs ahead", Duration::from_secs(20), || async {
        if !is_ahead().await {
            // Too quick to be looked at: there is more.
            if ledger::count(pool, "select count(*) from engine.ready").await == 0 {
                enqueue(pool, JOBS, 3).await;
                enqueued.set(enqueued.get() + JOBS);
            }
            return false;
        }
        leaver.signal("STOP");
        let still = is_ahead().await;
        if !still {
            leaver.signal("CONT");
        }
        still
    })
    .await;

    let took = terminate(leaver).await;
    println!("under load a worker drained in {took:?}");
    assert!(took < grace, "it drained in {took:?}");
    assert_eq!(ledger::held_by(pool, worker).await, 0, "it holds nothing");
    ledger::all_ended(pool, Duration::from_secs(30)).await;
    drop(workers);

    let outcomes = ledger::outcomes(pool).await;
    println!("attempts: {outcomes:?}");
    assert_eq!(outcomes["completed"], enqueued.get() as i64);
    assert!(outcomes["released"] > 0, "what it held ahead went back");
    assert_eq!(outcomes.get("lost"), None, "nothing waited for a lease to run out");
    assert_eq!(witness::notes(pool, "started").await, enqueued.get() as i64, "each job was started once");
    ledger::check(pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_longer_than_the_grace_period_are_released_and_run_elsewhere_at_once() {
    let db = Database::new().await;
    let pool = db.pool();
    witness::make_note_table(pool).await;
    let options = WorkerOptions::new(db.url()).concurrency(6).grace(Duration::from_secs(1));
    let leaver = options.start();
    let worker = ledger::worker_of(pool, leaver.pid()).await;
    enqueue(pool, 6, 4000).await;
    wait::until("it runs all", Duration::from_secs(20), || async { witness::notes_of(pool, worker, "started").await == 6 }).await;
    let others = options.start_many(2);
    for process in &others {
        ledger::worker_of(pool, process.pid()).await;
    }

    let took = terminate(leaver).await;
    println!("with a grace period of 1 s a worker of long jobs ended in {took:?}");
    ledger::all_ended(pool, Duration::from_secs(30)).await;
    let outcomes = ledger::outcomes(pool).await;
    assert_eq!((outcomes["released"], outcomes["completed"], outcomes.get("lost")), (6, 6, None));
    let gaps: Vec<f64> = sqlx::query_scalar(
        "select extract(epoch from b.started_at - a.finished_at)::float8 from engine.attempt a
         join engine.attempt b on b.job_id = a.job_id and b.attempt = a.attempt + 1 where a.outcome = 'released'",
    )
    .fetch_all(pool)
    .await
    .expect("the ledger can be read");
    let gaps: Vec<Duration> = gaps.into_iter().map(|gap| Duration::from_secs_f64(gap.max(0.0))).collect();
    let longest = ledger::spread("from the release to the next attempt", &gaps);
    assert!(longest < Duration::from_secs(1), "less than any lease: {longest:?}");
    ledger::check(pool).await;
}
