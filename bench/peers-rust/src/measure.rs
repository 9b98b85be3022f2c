//! The workloads, which are the same for every peer.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use sqlx::Executor;
use tokio::sync::mpsc;

use crate::{
    Peer, Role,
    fleet::{self, WorkerProcess},
    jobs::{PICKED_UP, STEPS},
};

type Figures = BTreeMap<&'static str, f64>;

/// Jobs of a bulk.
const BULK: usize = 100_000;
/// Jobs whose pickup is measured.
const PICKUPS: usize = 200;
/// Jobs before the clock starts.
const WARM_UP: usize = 10;
/// Workflows of a round, as a share of a drain's jobs.
const SHARE: usize = 20;

/// One workload, or one worker process of it.
pub async fn run<P: Peer>(peer: &str, url: &str, what: &str, jobs: usize) -> anyhow::Result<()> {
    let figures = match what {
        "bulk" => bulk::<P>(url).await?,
        "drain" => drain::<P>(peer, url, jobs.min(P::DRAIN)).await?,
        "pickup" => pickup::<P>(url).await?,
        "steps" => steps::<P>(peer, url, jobs / SHARE).await?,
        "work" => return work::<P>(url, Role::Drain).await,
        "work-steps" => return work::<P>(url, Role::Steps).await,
        _ => anyhow::bail!("there is no workload {what}"),
    };
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

async fn work<P: Peer>(url: &str, role: Role) -> anyhow::Result<()> {
    fleet::answer_questions();
    P::connect(url).await?.work(role).await
}

async fn bulk<P: Peer>(url: &str) -> anyhow::Result<Figures> {
    let peer = P::connect(url).await?;
    let begun = Instant::now();
    peer.enqueue_many(BULK).await?;
    let rate = BULK as f64 / begun.elapsed().as_secs_f64();
    let waiting = peer.unfinished().await?;
    anyhow::ensure!(waiting == BULK as i64, "{waiting} of {BULK} jobs were enqueued");
    Ok(Figures::from([("bulk enqueue of 100,000 (jobs/s)", rate)]))
}

async fn drain<P: Peer>(name: &str, url: &str, jobs: usize) -> anyhow::Result<Figures> {
    let peer = P::connect(url).await?;
    let mut figures = Figures::new();
    for (figure, processes) in [("drain, 1 process (jobs/s)", 1), ("drain, 4 processes (jobs/s)", 4)] {
        peer.enqueue_many(jobs).await?;
        figures.insert(figure, empty(&peer, name, url, "work", jobs, processes).await?);
    }
    Ok(figures)
}

async fn steps<P: Peer>(name: &str, url: &str, workflows: usize) -> anyhow::Result<Figures> {
    let Some(most) = P::WORKFLOWS else { return Ok(Figures::new()) };
    let (peer, workflows) = (P::connect(url).await?, workflows.min(most));
    peer.enqueue_workflows(workflows).await?;
    let rate = empty(&peer, name, url, "work-steps", workflows * STEPS, 1).await?;
    Ok(Figures::from([("workflow steps (steps/s)", rate)]))
}

/// Lets processes run all jobs or steps; how many a second, from the first that ran to the last outcome that was recorded.
async fn empty<P: Peer>(peer: &P, name: &str, url: &str, role: &str, jobs: usize, processes: usize) -> anyhow::Result<f64> {
    // A backlog of some age has statistics; without them some peers' statements are planned for empty tables.
    sqlx::PgPool::connect(url).await?.execute("analyze").await?;
    let mut workers: Vec<WorkerProcess> = (0..processes).map(|_| WorkerProcess::start(name, url, role)).collect::<anyhow::Result<_>>()?;
    let first = fleet::ran(&mut workers, 1).await?;
    let begun = Instant::now();
    fleet::ran(&mut workers, jobs as u64).await?;
    while peer.unfinished().await? > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let rate = (jobs as u64).saturating_sub(first) as f64 / begun.elapsed().as_secs_f64();
    workers.into_iter().try_for_each(WorkerProcess::stop)?;
    Ok(rate)
}

async fn pickup<P: Peer>(url: &str) -> anyhow::Result<Figures> {
    let (sender, mut heard) = mpsc::unbounded_channel();
    *PICKED_UP.lock().expect("no holder of this lock panics") = Some(sender);
    let (worker, producer) = (P::connect(url).await?, P::connect(url).await?);
    let mut waits = tokio::select! {
        ended = worker.work(Role::Pickup) => anyhow::bail!("the worker ended: {ended:?}"),
        waits = pickups(&producer, &mut heard) => waits?,
    };
    waits.sort_by(f64::total_cmp);
    let of_hundred = |part: usize| waits[(waits.len() * part / 100).min(waits.len() - 1)];
    Ok(Figures::from([("idle pickup p50 (ms)", of_hundred(50)), ("idle pickup p99 (ms)", of_hundred(99))]))
}

async fn pickups<P: Peer>(producer: &P, heard: &mut mpsc::UnboundedReceiver<Instant>) -> anyhow::Result<Vec<f64>> {
    let mut waits = Vec::with_capacity(PICKUPS);
    for n in 0..PICKUPS + WARM_UP {
        // Not in step with any period of polling.
        tokio::time::sleep(Duration::from_millis(90 + (n as u64 * 37) % 60)).await;
        producer.enqueue_ping().await?;
        let committed = Instant::now();
        let at = heard.recv().await.ok_or_else(|| anyhow::anyhow!("the worker ended"))?;
        if n >= WARM_UP {
            waits.push(at.saturating_duration_since(committed).as_secs_f64() * 1e3);
        }
    }
    Ok(waits)
}
