//! apalis-postgres: batches of 1000, four workers a process for a drain, LISTEN for single jobs.

use std::time::Duration;

use apalis::prelude::*;
use apalis_postgres::{Config, PostgresStorage};
use apalis_workflow::{SteppedFlow, WorkflowSink};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::{Peer, Role, jobs};

const NO_OPS: &str = "no_op";
const PINGS: &str = "ping";
const WORKFLOWS: &str = "workflow";
/// Jobs in one call.
const CALL: usize = 1000;
/// Workers of a process.
const WORKERS: usize = 4;

/// A database with its schema.
pub struct Apalis {
    pool: PgPool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct NoOp {
    n: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ping {}

async fn no_op(_: NoOp) -> Result<(), BoxDynError> {
    jobs::count();
    Ok(())
}

async fn ping(_: Ping) -> Result<(), BoxDynError> {
    jobs::picked_up();
    Ok(())
}

impl Apalis {
    fn storage<Args>(&self, queue: &str, batch: usize) -> PostgresStorage<Args> {
        PostgresStorage::new(&self.pool).with_config(Config::default().queue(queue).batch_size(batch))
    }

    async fn drain(&self) -> anyhow::Result<()> {
        let mut workers = tokio::task::JoinSet::new();
        for n in 0..WORKERS {
            let worker = WorkerBuilder::new(format!("worker-{}-{n}", std::process::id()))
                .backend(self.storage::<NoOp>(NO_OPS, 1000).poll_with_interval(Duration::from_millis(10)))
                .concurrency(1000)
                .build(no_op);
            workers.spawn(worker.run());
        }
        while let Some(ended) = workers.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn pickup(&self) -> anyhow::Result<()> {
        let backend = self.storage::<Ping>(PINGS, 10).with_pubsub().poll_with_interval(Duration::from_secs(1));
        Ok(WorkerBuilder::new("pickup").backend(backend).build(ping).run().await?)
    }

    /// Each step is a task of its own, whose result is kept before the next one is pushed.
    async fn steps(&self) -> anyhow::Result<()> {
        let flow = SteppedFlow::new(WORKFLOWS)
            .and_then(step)
            .and_then(step)
            .and_then(step)
            .and_then(step)
            .and_then(step)
            .and_then(step)
            .and_then(step)
            .and_then(step)
            .and_then(step)
            .and_then(last_step);
        let backend = self.storage::<usize>(WORKFLOWS, 1000).poll_with_interval(Duration::from_millis(10));
        Ok(WorkerBuilder::new("steps").backend(backend).concurrency(1000).build(flow).run().await?)
    }
}

async fn step(n: usize) -> Result<usize, BoxDynError> {
    jobs::count();
    Ok(n)
}

async fn last_step(_: usize) -> Result<(), BoxDynError> {
    jobs::count();
    Ok(())
}

impl Peer for Apalis {
    const DRAIN: usize = 100_000;
    const WORKFLOWS: Option<usize> = Some(2000);

    async fn connect(url: &str) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new().max_connections(20).connect(url).await?;
        PostgresStorage::setup(&pool).await?;
        Ok(Self { pool })
    }

    async fn enqueue_many(&self, jobs: usize) -> anyhow::Result<()> {
        let mut storage = self.storage::<NoOp>(NO_OPS, CALL);
        for start in (0..jobs).step_by(CALL) {
            storage.push_bulk((start..jobs.min(start + CALL)).map(|n| NoOp { n }).collect()).await?;
        }
        Ok(())
    }

    async fn enqueue_ping(&self) -> anyhow::Result<()> {
        Ok(self.storage::<Ping>(PINGS, 10).push(Ping {}).await?)
    }

    async fn enqueue_workflows(&self, workflows: usize) -> anyhow::Result<()> {
        let mut storage = self.storage::<usize>(WORKFLOWS, CALL);
        for n in 0..workflows {
            storage.push_start(n).await?;
        }
        Ok(())
    }

    async fn unfinished(&self) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar("select count(*) from apalis.jobs where status <> 'Done'").fetch_one(&self.pool).await?)
    }

    async fn work(&self, role: Role) -> anyhow::Result<()> {
        match role {
            Role::Drain => self.drain().await,
            Role::Pickup => self.pickup().await,
            Role::Steps => self.steps().await,
        }
    }
}
