//! kill -9 of a worker: what it held runs elsewhere within seconds.

use std::time::{Duration, Instant};

use engine::{Client, NewJob};
use sqlx::PgPool;

use crate::support::{
    Database,
    kinds::Sleep,
    ledger,
    process::{WorkerOptions, WorkerProcess},
    wait,
    witness::{self, Tally},
};

/// What the promise is: from the kill to the start of the next attempt.
const BACK_WITHIN: Duration = Duration::from_secs(5);

async fn enqueue_tallies(pool: &PgPool, jobs: usize, ms: u64) {
    let job = NewJob::of(&Tally { ms }).expect("arguments serialise");
    Client::new(pool.clone()).enqueue_many(&vec![job; jobs]).await.expect("enqueued");
}

/// Waits until a worker runs something, and returns the one that runs most.
async fn busiest<'a>(pool: &PgPool, workers: &'a [WorkerProcess]) -> (&'a WorkerProcess, i64) {
    let mut ranked = Vec::new();
    for process in workers {
        let worker = ledger::worker_of(pool, process.pid()).await;
        ranked.push((witness::notes_of(pool, worker, "started").await - finished_by(pool, worker).await, process, worker));
    }
    let (running, process, worker) = ranked.into_iter().max_by_key(|(running, ..)| *running).expect("there are workers");
    assert!(running > 0, "somebody runs something");
    (process, worker)
}

async fn finished_by(pool: &PgPool, worker: i64) -> i64 {
    sqlx::query_scalar("select count(*) from engine.attempt where worker_id = $1").bind(worker).fetch_one(pool).await.expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_killed_worker_run_elsewhere_within_5_seconds() {
    let db = Database::new().await;
    let pool = db.pool();
    witness::make_note_table(pool).await;
    let options = WorkerOptions::new(db.url()).concurrency(12);
    let mut workers = options.start_many(3);
    let mut back = Vec::new();
    for round in 1..=3 {
        for process in &workers {
            ledger::worker_of(pool, process.pid()).await;
        }
        enqueue_tallies(pool, 24, 1500).await;
        let limit = Duration::from_secs(20);
        wait::until("all jobs run", limit, || async { running(pool).await == 24 }).await;
        let (process, worker) = busiest(pool, &workers).await;
        let pid = process.pid();
        let killed_at = ledger::now(pool).await;
        process.signal("KILL");
        ledger::all_ended(pool, Duration::from_secs(30)).await;
        let times = ledger::picked_up_after(pool, worker, killed_at).await;
        println!("round {round}: {} jobs were held by the killed worker", times.len());
        back.extend(times);
        workers.retain(|process| process.pid() != pid);
        workers.push(options.start());
    }
    let longest = ledger::spread("from the kill to the next attempt", &back);
    assert!(longest <= BACK_WITHIN, "a job was back only after {longest:?}");
    let outcomes = ledger::outcomes(pool).await;
    assert_eq!(outcomes["completed"], 72);
    assert_eq!(outcomes["lost"], back.len() as i64, "only what the dead held was lost");
    ledger::check(pool).await;
}

/// How many jobs have started and not ended.
async fn running(pool: &PgPool) -> i64 {
    ledger::count(
        pool,
        "select count(*) from test_note n where not exists (select from engine.attempt a where a.job_id = n.job_id and a.attempt = n.attempt)",
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_back_at_once_under_its_old_name_still_rescues_what_it_held() {
    let db = Database::new().await;
    let pool = db.pool();
    let options = WorkerOptions::new(db.url()).name("the only one").concurrency(10);
    let before = options.start();
    let job = NewJob::of(&Sleep { ms: 1000 }).expect("arguments serialise");
    Client::new(pool.clone()).enqueue_many(&vec![job; 10]).await.expect("enqueued");
    let dead = ledger::worker_of(pool, before.pid()).await;
    wait::until("it holds all jobs", Duration::from_secs(10), || async { ledger::held_by(pool, dead).await == 10 }).await;

    let killed_at = ledger::now(pool).await;
    let killed = Instant::now();
    before.kill();
    let after = options.start();
    let gap = killed.elapsed();
    assert!(gap < Duration::from_millis(100), "it was away for {gap:?}");
    let alive = ledger::worker_of(pool, after.pid()).await;
    assert_ne!(alive, dead, "a new process is a new worker, whatever it is called");

    ledger::all_ended(pool, Duration::from_secs(20)).await;
    let back = ledger::picked_up_after(pool, dead, killed_at).await;
    assert_eq!(back.len(), 10, "all were lost once");
    let longest = ledger::spread("restarted under the same name: from the kill to the next attempt", &back);
    assert!(longest <= BACK_WITHIN, "a job was back only after {longest:?}");
    ledger::check(pool).await;
}
