//! Jobs that kill their worker, among many that do not: each killer ends as a dead letter, no neighbour is blamed.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use engine::{Client, Job, JobId, NewJob, Worker, WorkerConfig};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::support::{
    Database,
    kinds::{self, Kill, NoOp, Sleep},
    ledger,
    process::{WorkerOptions, WorkerProcess},
    wait,
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
    let all_ended = || {
        deaths += revive(&options, &mut workers);
        async { !open(pool).await }
    };
    wait::until("every job ends", Duration::from_mins(3), all_ended).await;
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

/// A job that workers have died with more than once, as a rescue leaves it.
async fn enqueue_suspect<J: Job>(pool: &PgPool, job: &J) -> JobId {
    let job = NewJob::of(job).expect("arguments serialise").run_at(Utc::now() + TimeDelta::hours(1));
    let id = Client::new(pool.clone()).enqueue(&job).await.expect("enqueued").id;
    sqlx::query("update engine.scheduled set alone = true, run_at = engine.now() where job_id = $1")
        .bind(id)
        .execute(pool)
        .await
        .expect("moved");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspect_gets_its_turn_on_a_worker_that_is_never_idle() {
    let db = Database::new().await;
    let pool = db.pool();
    let client = Client::new(pool.clone());
    let sleep = |ms| NewJob::of(&Sleep { ms }).expect("arguments serialise");
    // Two slots are out of step with the two others, so that some job always runs.
    client.enqueue_many(&[vec![sleep(5000); 2], vec![sleep(12_000); 40]].concat()).await.expect("enqueued");
    let mut worker = WorkerOptions::new(db.url()).concurrency(4).grace(Duration::from_secs(1)).start();
    wait::until("the slots are out of step", Duration::from_secs(20), || async { ledger::outcome(pool, "completed").await == 2 }).await;

    let begun = Instant::now();
    let suspect = enqueue_suspect(pool, &NoOp { n: 1 }).await;
    let ran = || async {
        sqlx::query("select from engine.attempt where job_id = $1").bind(suspect).fetch_optional(pool).await.expect("a look").is_some()
    };
    wait::until("the suspect runs", Duration::from_mins(2), ran).await;
    println!("among jobs of 12 s a suspect had its turn after {:?}", begun.elapsed());
    worker.signal("TERM");
    wait::until("the worker ends", Duration::from_secs(20), || std::future::ready(worker.has_ended())).await;
    ledger::check(pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_beside_a_suspect_however_long_it_runs() {
    let db = Database::new().await;
    let pool = db.pool();
    enqueue_suspect(pool, &Sleep { ms: 2500 }).await;
    let stop = CancellationToken::new();
    // Its patience with other jobs is a second.
    let config = WorkerConfig { lease: Duration::from_millis(200), ..WorkerConfig::default() };
    let worker = tokio::spawn(Worker::new(pool.clone(), kinds::kinds(), config).run(stop.clone()));
    let runs = "select count(*) from engine.job_state where state = 'running'";
    wait::until("the suspect runs", Duration::from_secs(20), || async { ledger::count(pool, runs).await == 1 }).await;
    Client::new(pool.clone()).enqueue(&NewJob::of(&NoOp { n: 1 }).expect("arguments serialise")).await.expect("enqueued");
    ledger::all_ended(pool, Duration::from_secs(30)).await;
    stop.cancel();
    worker.await.expect("the worker does not panic").expect("its configuration is right");
    let beside = "select count(*) from engine.attempt a join engine.attempt s on a.started_at < s.finished_at where a.job_id <> s.job_id
                      and s.job_id = (select min(job_id) from engine.attempt)";
    assert_eq!(ledger::count(pool, beside).await, 0, "its death would have been blamed on the suspect");
}
