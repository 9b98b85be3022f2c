//! How long jobs wait under a steady load: at 1,000 a second, and at half of what the machine can do.

use std::time::{Duration, Instant};

use engine::{Client, NewJob};

use super::{drain, enqueue, raw};
use crate::{
    child::WorkerProcess,
    figures::{Figures, RAWOPS},
    kinds::NoOp,
    stage::Stage,
};

const SPAN: Duration = Duration::from_secs(8);
/// A producer's pace: so many calls a second, each with its share of the jobs.
const CALLS: u32 = 100;

/// Of all jobs: from their row's time to the handler's start, and to the statement that records the outcome.
const WAITS: &str = "
    select percentile_cont(array[0.5, 0.95, 0.99]) within group (order by 1000 * extract(epoch from a.started_at - j.created_at)),
        percentile_cont(array[0.5, 0.95, 0.99]) within group (order by 1000 * extract(epoch from a.finished_at - j.created_at))
    from engine.attempt a join engine.job j on j.id = a.job_id";

/// Both loads.
pub async fn measure(stage: &Stage, figures: &mut Figures) -> anyhow::Result<()> {
    under(stage, figures, 1000, "1,000 jobs/s").await?;
    let most = match figures.median(drain::ONE, RAWOPS) {
        Some(rate) => rate,
        None => capacity(stage).await?,
    };
    // A drain has nobody who enqueues beside it: what comes in costs as much as what goes out.
    under(stage, figures, (most / 4.0) as usize, "half of what goes in and out").await
}

/// What one process drains when nothing comes in.
async fn capacity(stage: &Stage) -> anyhow::Result<f64> {
    stage.empty().await?;
    enqueue::fill(stage, stage.options.jobs, |n| Ok(NewJob::of(&NoOp { n })?)).await?;
    Ok(drain::drain(stage, stage.options.jobs, 1, 64).await?.rate)
}

async fn under(stage: &Stage, figures: &mut Figures, rate: usize, load: &str) -> anyhow::Result<()> {
    stage.empty().await?;
    let mut worker = WorkerProcess::start(&stage.url(None)?, 64, raw::BATCH)?;
    let made = produce(stage, rate).await?;
    while worker.ran()? < made as u64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    worker.stop()?;
    let (pickup, end): (Vec<f64>, Vec<f64>) = sqlx::query_as(WAITS).fetch_one(&stage.pool).await?;
    for (place, percent) in ["p50", "p95", "p99"].iter().enumerate() {
        figures.note(&format!("pickup at {load}, {percent} (ms)"), RAWOPS, pickup[place]);
        figures.note(&format!("outcome recorded at {load}, {percent} (ms)"), RAWOPS, end[place]);
    }
    Ok(())
}

/// Enqueues at the rate for some seconds; returns how many.
async fn produce(stage: &Stage, rate: usize) -> anyhow::Result<usize> {
    let client = Client::new(stage.pool.clone());
    let jobs = enqueue::numbered(0..rate / CALLS as usize, |n| NoOp { n })?;
    let (begun, mut calls) = (Instant::now(), 0);
    while begun.elapsed() < SPAN {
        tokio::time::sleep_until((begun + calls * Duration::from_secs(1) / CALLS).into()).await;
        client.enqueue_many(&jobs).await?;
        calls += 1;
    }
    Ok(calls as usize * jobs.len())
}
