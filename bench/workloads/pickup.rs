//! How long a single job waits in an idle system.

use std::time::{Duration, Instant};

use engine::{Client, NewJob, Worker, WorkerConfig};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    figures::{Figures, RAWOPS},
    kinds::{self, PICKED_UP, Ping},
    stage::Stage,
};

/// Jobs of a round.
const JOBS: usize = 200;
/// Jobs before the clock starts: connections are made and statements prepared.
const WARM_UP: usize = 10;

pub const P50: &str = "idle pickup p50 (ms)";
pub const P99: &str = "idle pickup p99 (ms)";
pub const POLLED_P99: &str = "idle pickup by polling alone p99 (ms)";

/// From the commit of the enqueue to the handler, woken and by polling alone.
pub async fn measure(stage: &Stage, figures: &mut Figures) -> anyhow::Result<()> {
    let mut woken = waits(stage, true).await?;
    figures.note(P50, RAWOPS, percentile(&mut woken, 50));
    figures.note(P99, RAWOPS, percentile(&mut woken, 99));
    let mut polled = waits(stage, false).await?;
    figures.note("idle pickup by polling alone p50 (ms)", RAWOPS, percentile(&mut polled, 50));
    figures.note(POLLED_P99, RAWOPS, percentile(&mut polled, 99));
    Ok(())
}

/// The value that so many of a hundred do not exceed.
pub fn percentile(values: &mut [f64], of_hundred: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * of_hundred / 100).min(values.len() - 1)]
}

/// Enqueues jobs, each into a sleeping system; how long each waited, in ms.
async fn waits(stage: &Stage, listen: bool) -> anyhow::Result<Vec<f64>> {
    stage.empty().await?;
    let (sender, mut picked_up) = mpsc::unbounded_channel();
    *PICKED_UP.lock().expect("no holder of this lock panics") = Some(sender);
    let stop = CancellationToken::new();
    let config = WorkerConfig { listen, ..WorkerConfig::default() };
    let worker = tokio::spawn(Worker::new(stage.pool.clone(), kinds::all(), config).run(stop.clone()));
    let client = Client::new(stage.pool.clone());
    let mut waits = Vec::with_capacity(JOBS);
    for n in 0..JOBS + WARM_UP {
        // Not in step with any period of polling.
        tokio::time::sleep(Duration::from_millis(90 + (n as u64 * 37) % 60)).await;
        client.enqueue(&NewJob::of(&Ping)?).await?;
        let committed = Instant::now();
        let at = picked_up.recv().await.ok_or_else(|| anyhow::anyhow!("the worker ended"))?;
        if n >= WARM_UP {
            waits.push(at.saturating_duration_since(committed).as_secs_f64() * 1e3);
        }
    }
    stop.cancel();
    worker.await??;
    Ok(waits)
}
