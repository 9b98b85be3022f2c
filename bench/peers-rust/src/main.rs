//! The peers that are Rust crates: `peers-rust PEER DATABASE_URL WORKLOAD JOBS` prints one JSON object of figures.

mod apalis_postgres_peer;
mod awa_peer;
mod fleet;
mod graphile_worker_peer;
mod jobs;
mod measure;

use anyhow::Context;

/// What a peer has to be able to do to be measured.
trait Peer: Sized + Sync {
    /// The most jobs of a drain, so that it ends within some 20 seconds; what counts is the rate.
    const DRAIN: usize;
    /// The most workflows at once, if it has durable steps.
    const WORKFLOWS: Option<usize> = None;

    /// Connects, and brings the schema if it is not there.
    async fn connect(url: &str) -> anyhow::Result<Self>;
    /// Enqueues no-op jobs by the bulk API.
    async fn enqueue_many(&self, jobs: usize) -> anyhow::Result<()>;
    /// Enqueues one job that tells when it begins.
    async fn enqueue_ping(&self) -> anyhow::Result<()>;
    /// Enqueues workflows of [`jobs::STEPS`] steps.
    async fn enqueue_workflows(&self, _workflows: usize) -> anyhow::Result<()> {
        anyhow::bail!("it has no durable steps")
    }
    /// Jobs that have no recorded outcome yet.
    async fn unfinished(&self) -> anyhow::Result<i64>;
    /// Runs jobs until the process ends.
    async fn work(&self, role: Role) -> anyhow::Result<()>;
}

/// What a worker is there for: the best setting for one is not the best for the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Many jobs that are waiting already.
    Drain,
    /// Single jobs in an idle system.
    Pickup,
    /// Workflows.
    Steps,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [peer, url, what, jobs] = &arguments[..] else { anyhow::bail!("usage: peers-rust PEER DATABASE_URL WORKLOAD JOBS") };
    let jobs = jobs.parse().context("JOBS is a number")?;
    match peer.as_str() {
        "apalis-postgres" => measure::run::<apalis_postgres_peer::Apalis>(peer, url, what, jobs).await,
        "awa" => measure::run::<awa_peer::Awa>(peer, url, what, jobs).await,
        "graphile_worker" => measure::run::<graphile_worker_peer::GraphileWorker>(peer, url, what, jobs).await,
        _ => anyhow::bail!("there is no peer {peer}"),
    }
}
