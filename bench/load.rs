//! The engine under load.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use engine::{Client, Job, JobResult, Kinds, NewJob, Outcome, Run, Worker, WorkerConfig};
use serde::{Deserialize, Serialize};
use sqlx::{Executor, PgPool};
use tokio_util::sync::CancellationToken;

/// A job that does nothing.
#[derive(Serialize, Deserialize)]
pub struct NoOp {
    pub n: usize,
}

static RAN: AtomicU64 = AtomicU64::new(0);

impl Job for NoOp {
    const KIND: &'static str = "bench.no_op";

    async fn run(&self, _: &mut Run) -> JobResult {
        RAN.fetch_add(1, Ordering::Relaxed);
        Ok(Outcome::done())
    }
}

fn config(name: String) -> WorkerConfig {
    WorkerConfig { name, concurrency: 64, batch: 1000, ..WorkerConfig::default() }
}

/// Empties the engine's tables.
pub async fn empty(pool: &PgPool) -> anyhow::Result<()> {
    pool.execute("truncate engine.job, engine.attempt, engine.ready, engine.scheduled, engine.waiting, engine.slot, engine.permit, engine.claim, engine.worker, engine.unique_key, engine.enqueue_key, engine.idle").await?;
    pool.execute("vacuum analyze engine.ready").await?;
    pool.execute("checkpoint").await?;
    Ok(())
}

/// Enqueues `jobs` no-op jobs in batches of 1000; jobs per second.
pub async fn bulk_enqueue(pool: &PgPool, jobs: usize) -> anyhow::Result<f64> {
    empty(pool).await?;
    let client = Client::new(pool.clone());
    let batch: Vec<NewJob> = (0..1000).map(|n| NewJob::of(&NoOp { n })).collect::<Result<_, _>>()?;
    let begun = Instant::now();
    for _ in 0..jobs / 1000 {
        client.enqueue_many(&batch).await?;
    }
    Ok(jobs as f64 / begun.elapsed().as_secs_f64())
}

/// Enqueues one at a time from `clients` connections for three seconds; jobs per second.
pub async fn single_enqueues(pool: &PgPool, clients: usize) -> anyhow::Result<f64> {
    empty(pool).await?;
    let until = Instant::now() + Duration::from_secs(3);
    let mut tasks = Vec::new();
    for _ in 0..clients {
        let client = Client::new(pool.clone());
        tasks.push(tokio::spawn(async move {
            let mut made = 0_u64;
            while Instant::now() < until {
                client.enqueue(&NewJob::of(&NoOp { n: 1 })?).await?;
                made += 1;
            }
            anyhow::Ok(made)
        }));
    }
    let mut made = 0;
    for task in tasks {
        made += task.await??;
    }
    Ok(made as f64 / 3.0)
}

/// Drains what is enqueued with `workers` workers; jobs per second, every outcome recorded.
pub async fn drain(pool: &PgPool, jobs: usize, workers: usize) -> anyhow::Result<f64> {
    RAN.store(0, Ordering::Relaxed);
    let stop = CancellationToken::new();
    let begun = Instant::now();
    let running: Vec<_> = (0..workers)
        .map(|n| tokio::spawn(Worker::new(pool.clone(), Kinds::new().with::<NoOp>(), config(format!("bench {n}"))).run(stop.clone())))
        .collect();
    while (RAN.load(Ordering::Relaxed) as usize) < jobs {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stop.cancel();
    for worker in running {
        worker.await??;
    }
    let taken = begun.elapsed();
    let recorded: i64 = sqlx::query_scalar("select count(*) from engine.attempt where outcome = 'completed'").fetch_one(pool).await?;
    anyhow::ensure!(recorded as usize == jobs, "{recorded} of {jobs} outcomes were recorded");
    Ok(jobs as f64 / taken.as_secs_f64())
}

/// Jobs in and out at once: first unpinned, then with a transaction held open for `hold`. Prints the rate over time.
pub async fn pinned(pool: &PgPool, hold: Duration) -> anyhow::Result<()> {
    empty(pool).await?;
    let stop = CancellationToken::new();
    let producer = tokio::spawn(produce(pool.clone(), stop.clone()));
    let worker = tokio::spawn(Worker::new(pool.clone(), Kinds::new().with::<NoOp>(), config("bench".into())).run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let free = rate_over(Duration::from_secs(30)).await;
    println!("unpinned: {free:.0} jobs/s");
    let mut pin = pool.begin().await?;
    sqlx::query("set transaction isolation level repeatable read").execute(&mut *pin).await?;
    sqlx::query("select count(*) from engine.ready").execute(&mut *pin).await?;
    let begun = Instant::now();
    let mut last = 0.0;
    while begun.elapsed() < hold {
        last = rate_over(Duration::from_secs(30).min(hold)).await;
        let dead: i64 =
            sqlx::query_scalar("select n_dead_tup from pg_stat_user_tables where relid = 'engine.ready'::regclass").fetch_one(pool).await?;
        println!(
            "pinned for {:>4.0} s: {last:.0} jobs/s ({:.0} % of unpinned), {dead} dead entries in ready",
            begun.elapsed().as_secs_f64(),
            100.0 * last / free
        );
    }
    pin.rollback().await?;
    println!("at the end of {} s pinned: {last:.0} jobs/s, {:.0} % of the unpinned {free:.0}", hold.as_secs(), 100.0 * last / free);
    stop.cancel();
    producer.await??;
    worker.await??;
    Ok(())
}

async fn rate_over(span: Duration) -> f64 {
    let (before, begun) = (RAN.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(span).await;
    (RAN.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64()
}

/// Keeps a backlog of some 20,000 jobs.
async fn produce(pool: PgPool, stop: CancellationToken) -> anyhow::Result<()> {
    let client = Client::new(pool);
    let batch: Vec<NewJob> = (0..1000).map(|n| NewJob::of(&NoOp { n })).collect::<Result<_, _>>()?;
    let (mut made, base) = (0_u64, RAN.load(Ordering::Relaxed));
    while !stop.is_cancelled() {
        if made.saturating_sub(RAN.load(Ordering::Relaxed) - base) < 20_000 {
            client.enqueue_many(&batch).await?;
            made += 1000;
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(())
}
