//! How fast jobs that do nothing run, every outcome recorded.

use std::time::{Duration, Instant};

use engine::NewJob;

use super::{enqueue, raw};
use crate::{
    child::WorkerProcess,
    figures::{Figures, RAW, RAWOPS},
    kinds::NoOp,
    server::Cost,
    stage::Stage,
};

pub const ONE: &str = "drain, 1 process (jobs/s)";
pub const FOUR: &str = "drain, 4 processes (jobs/s)";
pub const RAW_TWO: &str = "drain, 2 clients (jobs/s)";
pub const CPU: &str = "drain: PostgreSQL's processor time a job (µs)";
pub const MEMORY: &str = "memory of a worker with 200 no-op jobs at once (MB)";

/// Jobs that run at once in a process.
const CONCURRENCY: usize = 200;

/// A drain that has ended.
pub struct Drained {
    /// Jobs a second, from the first job that ran to the last outcome and the workers' end.
    pub rate: f64,
    /// What it cost the server.
    pub cost: Cost,
    /// The most memory that a process had, in MB.
    pub memory: Option<f64>,
}

/// Drains what is enqueued with worker processes.
pub async fn drain(stage: &Stage, jobs: usize, processes: usize, concurrency: usize) -> anyhow::Result<Drained> {
    let (url, spent) = (stage.url(None)?, stage.server.spent(&stage.pool).await?);
    let mut workers: Vec<WorkerProcess> =
        (0..processes).map(|_| WorkerProcess::start(&url, concurrency, raw::BATCH)).collect::<anyhow::Result<_>>()?;
    let first = ran(&mut workers, 1).await?;
    let begun = Instant::now();
    ran(&mut workers, jobs as u64).await?;
    let memory = workers.iter().filter_map(WorkerProcess::peak_memory).reduce(f64::max);
    for worker in workers {
        worker.stop()?;
    }
    let rate = (jobs as u64 - first) as f64 / begun.elapsed().as_secs_f64();
    let cost = stage.server.since(spent, &stage.pool).await?;
    let recorded: i64 =
        sqlx::query_scalar("select count(*) from engine.attempt where outcome = 'completed'").fetch_one(&stage.pool).await?;
    anyhow::ensure!(recorded as usize == jobs, "{recorded} of {jobs} outcomes were recorded");
    Ok(Drained { rate, cost, memory })
}

/// Waits until `least` jobs have run in the processes together; returns how many have.
async fn ran(workers: &mut [WorkerProcess], least: u64) -> anyhow::Result<u64> {
    loop {
        let told: u64 = workers.iter_mut().map(WorkerProcess::ran).sum::<anyhow::Result<u64>>()?;
        if told >= least {
            return Ok(told);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Raw with one and two clients, then one process and four.
pub async fn measure(stage: &Stage, figures: &mut Figures) -> anyhow::Result<()> {
    let jobs = stage.options.jobs;
    let no_op = |n| Ok(NewJob::of(&NoOp { n })?);
    for (name, clients) in [(ONE, 1), (RAW_TWO, 2)] {
        stage.empty().await?;
        enqueue::fill(stage, jobs, no_op).await?;
        let spent = stage.server.spent(&stage.pool).await?;
        figures.note(name, RAW, raw::drain(stage, jobs, clients).await?);
        if clients == 1 {
            note_cost(figures, RAW, stage.server.since(spent, &stage.pool).await?, jobs);
        }
    }
    for (name, processes) in [(ONE, 1), (FOUR, 4)] {
        stage.empty().await?;
        enqueue::fill(stage, jobs, no_op).await?;
        let drained = drain(stage, jobs, processes, CONCURRENCY).await?;
        figures.note(name, RAWOPS, drained.rate);
        if processes == 1 {
            note_cost(figures, RAWOPS, drained.cost, jobs);
            if let Some(memory) = drained.memory {
                figures.note(MEMORY, RAWOPS, memory);
            }
        }
    }
    Ok(())
}

fn note_cost(figures: &mut Figures, subject: &str, cost: Cost, jobs: usize) {
    if let Some(processor_us) = cost.processor_us {
        figures.note(CPU, subject, processor_us / jobs as f64);
    }
    figures.note("drain: log a job (bytes)", subject, cost.log_bytes / jobs as f64);
}
