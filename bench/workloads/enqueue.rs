//! How fast jobs come in.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use engine::{Client, Job, NewJob};
use serde::Serialize;

use super::raw;
use crate::{
    figures::{Figures, RAW, RAWOPS},
    kinds::NoOp,
    stage::Stage,
};

/// Jobs of a bulk.
const JOBS: usize = 100_000;
/// Jobs in one call.
const CALL: usize = 1000;
/// How long single enqueues go on.
const SPAN: Duration = Duration::from_secs(3);

pub const BULK: &str = "bulk enqueue of 100,000 (jobs/s)";
pub const COPY: &str = "bulk enqueue of 100,000 by COPY (jobs/s)";

/// New jobs of one kind, numbered.
pub fn numbered<J: Job + Serialize>(numbers: std::ops::Range<usize>, job: impl Fn(usize) -> J) -> anyhow::Result<Vec<NewJob>> {
    numbers.map(|n| Ok(NewJob::of(&job(n))?)).collect()
}

/// Puts `jobs` jobs in, a thousand a call; jobs per second.
pub async fn fill(stage: &Stage, jobs: usize, job: impl Fn(usize) -> anyhow::Result<NewJob>) -> anyhow::Result<f64> {
    let client = Client::new(stage.pool.clone());
    let batches: Vec<Vec<NewJob>> =
        (0..jobs).step_by(CALL).map(|start| (start..jobs.min(start + CALL)).map(&job).collect()).collect::<anyhow::Result<_>>()?;
    let begun = Instant::now();
    for batch in &batches {
        client.enqueue_many(batch).await?;
    }
    Ok(jobs as f64 / begun.elapsed().as_secs_f64())
}

/// Many at once: in calls of a thousand, and by COPY, beside COPY into the same tables.
pub async fn bulk(stage: &Stage, figures: &mut Figures) -> anyhow::Result<()> {
    stage.empty().await?;
    let spent = stage.server.spent(&stage.pool).await?;
    figures.note(BULK, RAWOPS, fill(stage, JOBS, |n| Ok(NewJob::of(&NoOp { n })?)).await?);
    let cost = stage.server.since(spent, &stage.pool).await?;
    figures.note("bulk enqueue: log a job (bytes)", RAWOPS, cost.log_bytes / JOBS as f64);

    stage.empty().await?;
    let (client, jobs) = (Client::new(stage.pool.clone()), numbered(0..JOBS, |n| NoOp { n })?);
    let begun = Instant::now();
    client.enqueue_copy(&jobs).await?;
    figures.note(COPY, RAWOPS, JOBS as f64 / begun.elapsed().as_secs_f64());

    stage.empty().await?;
    figures.note(COPY, RAW, copy(stage).await?);
    Ok(())
}

/// COPY into `job` and `ready` in one transaction; jobs per second.
async fn copy(stage: &Stage) -> anyhow::Result<f64> {
    let lane = raw::lane(stage).await?;
    let first: i64 = sqlx::query_scalar("select nextval('engine.position') from generate_series(1, $1) order by 1 limit 1")
        .bind(JOBS as i64)
        .fetch_one(&stage.pool)
        .await?;
    let (mut rows, mut ready) = (String::new(), String::new());
    for (n, id) in (first..first + JOBS as i64).enumerate() {
        writeln!(rows, "{id}\t{lane}\t{{\"n\": {n}}}")?;
        writeln!(ready, "{lane}\t1\t{id}\t{id}")?;
    }
    let begun = Instant::now();
    let mut tx = stage.pool.begin().await?;
    for (statement, text) in [
        ("copy engine.job (id, lane_id, args) from stdin", rows),
        ("copy engine.ready (lane_id, attempt, position, job_id) from stdin", ready),
    ] {
        let mut copy = tx.copy_in_raw(statement).await?;
        copy.send(text.as_bytes()).await?;
        copy.finish().await?;
    }
    tx.commit().await?;
    Ok(JOBS as f64 / begun.elapsed().as_secs_f64())
}

/// One job a transaction, from 1, 8 and 32 clients.
pub async fn single(stage: &Stage, figures: &mut Figures) -> anyhow::Result<()> {
    for clients in [1, 8, 32] {
        stage.empty().await?;
        let until = Instant::now() + SPAN;
        let mut tasks = Vec::new();
        for _ in 0..clients {
            let client = Client::new(stage.pool.clone());
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
        figures.note(&format!("single enqueues, {clients} clients (jobs/s)"), RAWOPS, made as f64 / SPAN.as_secs_f64());
    }
    Ok(())
}
