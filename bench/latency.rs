//! How long a single job waits in an idle system.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use engine::{Client, Job, JobResult, Kinds, NewJob, Outcome, Run, Worker, WorkerConfig};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

static PICKED_UP: Mutex<Option<mpsc::UnboundedSender<Instant>>> = Mutex::new(None);

#[derive(Serialize, Deserialize)]
struct Ping;

impl Job for Ping {
    const KIND: &'static str = "bench.ping";

    async fn run(&self, _: &mut Run) -> JobResult {
        if let Some(sender) = PICKED_UP.lock().expect("no holder of this lock panics").as_ref() {
            let _ = sender.send(Instant::now());
        }
        Ok(Outcome::done())
    }
}

/// Enqueues `jobs` jobs, each into a sleeping system; p50 and p99, in ms, from the commit of the enqueue to the handler.
pub async fn pickup(pool: &PgPool, jobs: usize) -> anyhow::Result<(f64, f64)> {
    crate::load::empty(pool).await?;
    let (sender, mut picked_up) = mpsc::unbounded_channel();
    *PICKED_UP.lock().expect("no holder of this lock panics") = Some(sender);
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(pool.clone(), Kinds::new().with::<Ping>(), WorkerConfig::default()).run(stop.clone()));
    let client = Client::new(pool.clone());
    let mut waits = Vec::with_capacity(jobs);
    for n in 0..jobs + 10 {
        tokio::time::sleep(Duration::from_millis(120)).await;
        client.enqueue(&NewJob::of(&Ping)?).await?;
        let committed = Instant::now();
        let at = picked_up.recv().await.ok_or_else(|| anyhow::anyhow!("the worker ended"))?;
        if n >= 10 {
            waits.push(at.saturating_duration_since(committed).as_secs_f64() * 1e3);
        }
    }
    stop.cancel();
    worker.await??;
    waits.sort_by(f64::total_cmp);
    Ok((waits[waits.len() / 2], waits[waits.len() * 99 / 100]))
}
