//! Instructions of a worker's own work a job, counted by valgrind: times here are noisy, and counts are not.
//!
//! Two drains of different length are counted; the difference leaves out what a process costs to start and to stop.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use anyhow::Context;
use engine::NewJob;

use crate::{
    home,
    kinds::NoOp,
    stage::Stage,
    workloads::{BATCH, fill},
};

/// Jobs of the two drains.
const FEW: usize = 2_000;
const MANY: usize = 12_000;

/// The bounds that are kept under version control: a line each kind of build, its name and instructions a job.
const BOUNDS: &str = "instructions.txt";
const BUILD: &str = if cfg!(debug_assertions) { "dev" } else { "release" };

/// Counts, prints, and with `check` fails above the bound.
pub async fn measure(stage: &Stage, check: bool) -> anyhow::Result<()> {
    let (few, many) = (counted(stage, FEW).await?, counted(stage, MANY).await?);
    let each = many.saturating_sub(few) / (MANY - FEW) as u64;
    let bound = bound(&std::fs::read_to_string(home().join(BOUNDS))?)?;
    println!("{each} instructions a job of the worker process, built for {BUILD}; at most {bound} are allowed (bench/{BOUNDS})");
    anyhow::ensure!(
        !check || each <= bound,
        "a job costs more instructions than bench/{BOUNDS} allows: mend it, or say why in a change of the bound"
    );
    Ok(())
}

fn bound(bounds: &str) -> anyhow::Result<u64> {
    let line = bounds.lines().find_map(|line| line.strip_prefix(BUILD));
    let number = line.with_context(|| format!("bench/{BOUNDS} has no line for {BUILD}"))?.trim();
    number.parse().with_context(|| format!("bench/{BOUNDS} says {number:?} of {BUILD}, which is no number"))
}

/// The instructions of a worker process that drains `jobs` jobs and ends.
async fn counted(stage: &Stage, jobs: usize) -> anyhow::Result<u64> {
    stage.empty().await?;
    fill(stage, jobs, |n| Ok(NewJob::of(&NoOp { n })?)).await?;
    let mut child = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["worker", "--database", &stage.url(None)?, "--concurrency", "64", "--batch", &BATCH.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("valgrind cannot be started: install it")?;
    let mut left = 1_i64;
    while left > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        anyhow::ensure!(child.try_wait()?.is_none(), "the worker ended early");
        left = sqlx::query_scalar("select $1 - count(*) from engine.attempt").bind(jobs as i64).fetch_one(&stage.pool).await?;
    }
    child.stdin.take().context("a child's input is a pipe")?.flush()?;
    let ended = child.wait_with_output()?;
    let told = String::from_utf8_lossy(&ended.stderr);
    let line = told.lines().rev().find_map(|line| line.split_once("Collected :")).context("valgrind did not say what it counted")?;
    Ok(line.1.trim().parse()?)
}
