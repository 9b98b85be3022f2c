//! Jobs in and out at once, then with a transaction held open, which keeps every dead row from being swept away.

use std::time::{Duration, Instant};

use engine::Client;

use super::{enqueue, raw};
use crate::{
    child::WorkerProcess,
    figures::{Figures, RAWOPS},
    kinds::NoOp,
    stage::Stage,
};

pub const FREE: &str = "jobs in and out at once (jobs/s)";
pub const PINNED: &str = "the same, in the last third of a long open transaction (jobs/s)";
pub const PINNED_LEAST: &str = "the same, in its slowest 30 s (jobs/s)";

/// How many wait at a time.
const BACKLOG: u64 = 20_000;
const SPAN: Duration = Duration::from_secs(30);

/// A worker, and a producer that keeps a backlog before it.
pub struct Flow<'a> {
    stage: &'a Stage,
    worker: WorkerProcess,
    made: u64,
}

impl<'a> Flow<'a> {
    /// Starts it in an empty ledger.
    pub fn begin(stage: &'a Stage) -> anyhow::Result<Self> {
        Ok(Self { stage, worker: WorkerProcess::start(&stage.url(None)?, 64, raw::BATCH)?, made: 0 })
    }

    /// Keeps jobs coming for a time; jobs that ran a second.
    pub async fn rate_over(&mut self, span: Duration) -> anyhow::Result<f64> {
        let client = Client::new(self.stage.pool.clone());
        let batch = enqueue::numbered(0..1000, |n| NoOp { n })?;
        let (before, begun) = (self.worker.ran()?, Instant::now());
        loop {
            let ran = self.worker.ran()?;
            if begun.elapsed() >= span {
                return Ok((ran - before) as f64 / begun.elapsed().as_secs_f64());
            }
            while self.made < ran + BACKLOG {
                client.enqueue_many(&batch).await?;
                self.made += batch.len() as u64;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends the worker.
    pub fn end(self) -> anyhow::Result<()> {
        self.worker.stop()
    }
}

/// Unpinned, then pinned for as long as the options say; the rate over time goes to standard error.
pub async fn measure(stage: &Stage, figures: &mut Figures) -> anyhow::Result<()> {
    stage.empty().await?;
    let mut flow = Flow::begin(stage)?;
    flow.rate_over(Duration::from_secs(5)).await?;
    figures.note(FREE, RAWOPS, flow.rate_over(SPAN).await?);

    let mut pin = stage.pool.begin().await?;
    sqlx::query("set transaction isolation level repeatable read").execute(&mut *pin).await?;
    sqlx::query("select count(*) from engine.ready").execute(&mut *pin).await?;
    let (begun, hold, mut rates) = (Instant::now(), Duration::from_secs(stage.options.hold), Vec::new());
    while begun.elapsed() < hold {
        let rate = flow.rate_over(SPAN.min(hold)).await?;
        let dead: i64 = sqlx::query_scalar("select n_dead_tup from pg_stat_user_tables where relid = 'engine.ready'::regclass")
            .fetch_one(&stage.pool)
            .await?;
        eprintln!("pinned for {:>4.0} s: {rate:.0} jobs/s, {dead} dead rows in ready", begun.elapsed().as_secs_f64());
        rates.push(rate);
    }
    pin.rollback().await?;
    flow.end()?;
    let last = &rates[rates.len() - rates.len().div_ceil(3)..];
    figures.note(PINNED, RAWOPS, last.iter().sum::<f64>() / last.len() as f64);
    figures.note(PINNED_LEAST, RAWOPS, rates.iter().copied().fold(f64::INFINITY, f64::min));
    Ok(())
}
