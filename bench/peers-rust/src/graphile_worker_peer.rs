//! graphile_worker: a local queue and batched completions for a drain, its defaults for single jobs.

use std::time::Duration;

use graphile_worker::{
    Database, IntoTaskHandlerResult, JobSpec, LocalQueueConfig, RawJobSpec, TaskHandler, WorkerContext, WorkerOptions, WorkerUtils,
};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::{Peer, Role, jobs};

/// Jobs in one call.
const CALL: usize = 1000;

/// A database with its schema.
pub struct GraphileWorker {
    pool: PgPool,
    utils: WorkerUtils,
}

#[derive(Serialize, Deserialize)]
struct NoOp {
    n: usize,
}

impl TaskHandler for NoOp {
    const IDENTIFIER: &'static str = "no_op";

    async fn run(self, _: WorkerContext) -> impl IntoTaskHandlerResult {
        jobs::count();
        Ok::<(), String>(())
    }
}

#[derive(Serialize, Deserialize)]
struct Ping {}

impl TaskHandler for Ping {
    const IDENTIFIER: &'static str = "ping";

    async fn run(self, _: WorkerContext) -> impl IntoTaskHandlerResult {
        jobs::picked_up();
        Ok::<(), String>(())
    }
}

impl Peer for GraphileWorker {
    const DRAIN: usize = 200_000;

    async fn connect(url: &str) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new().max_connections(20).connect(url).await?;
        let utils = WorkerUtils::new(Database::from(pool.clone()), "graphile_worker");
        utils.migrate().await?;
        Ok(Self { pool, utils })
    }

    async fn enqueue_many(&self, jobs: usize) -> anyhow::Result<()> {
        for start in (0..jobs).step_by(CALL) {
            let job = |n| {
                let payload = serde_json::to_value(NoOp { n })?;
                anyhow::Ok(RawJobSpec { identifier: NoOp::IDENTIFIER.to_string(), payload, spec: JobSpec::default() })
            };
            let specs: Vec<RawJobSpec> = (start..jobs.min(start + CALL)).map(job).collect::<anyhow::Result<_>>()?;
            self.utils.add_raw_jobs(&specs).await?;
        }
        Ok(())
    }

    async fn enqueue_ping(&self) -> anyhow::Result<()> {
        self.utils.add_job(Ping {}, JobSpec::default()).await?;
        Ok(())
    }

    /// Jobs that ended well are deleted.
    async fn unfinished(&self) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar("select count(*) from graphile_worker._private_jobs").fetch_one(&self.pool).await?)
    }

    async fn work(&self, role: Role) -> anyhow::Result<()> {
        let options = WorkerOptions::default().pg_pool(self.pool.clone()).define_job::<NoOp>().define_job::<Ping>();
        let options = match role {
            Role::Pickup => options.concurrency(10),
            Role::Drain | Role::Steps => options
                .concurrency(200)
                .complete_job_batch_delay(Duration::from_millis(5))
                .fail_job_batch_delay(Duration::from_millis(5))
                .local_queue(LocalQueueConfig::default().with_size(1000)),
        };
        options.init().await?.run().await?;
        Ok(())
    }
}
