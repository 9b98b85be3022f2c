//! awa: its queue storage, claims of up to 512 jobs, receipts in place of leases since there is no deadline.

use std::time::Duration;

use awa::{Client, InsertOpts, InsertParams, JobArgs, JobResult, QueueConfig, QueueStorage, QueueStorageConfig, migrations, model::insert};
use serde::{Deserialize, Serialize};
use sqlx_of_awa::{PgPool, postgres::PgPoolOptions};

use crate::{Peer, Role, jobs};

const QUEUE: &str = "bench";
/// Jobs in one COPY.
const CALL: usize = 1000;

/// A database with its schema.
pub struct Awa {
    pool: PgPool,
    storage: QueueStorage,
}

#[derive(Serialize, Deserialize, JobArgs)]
struct NoOp {
    n: usize,
}

#[derive(Serialize, Deserialize, JobArgs)]
struct Ping {}

fn options() -> InsertOpts {
    InsertOpts { queue: QUEUE.to_string(), ..InsertOpts::default() }
}

impl Peer for Awa {
    const DRAIN: usize = 100_000;

    async fn connect(url: &str) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new().max_connections(30).connect(url).await?;
        migrations::run(&pool).await?;
        Ok(Self { pool, storage: QueueStorage::new(QueueStorageConfig::default())? })
    }

    async fn enqueue_many(&self, jobs: usize) -> anyhow::Result<()> {
        for start in (0..jobs).step_by(CALL) {
            let params: Vec<InsertParams> =
                (start..jobs.min(start + CALL)).map(|n| insert::params_with(&NoOp { n }, options())).collect::<Result<_, _>>()?;
            self.storage.enqueue_params_copy(&self.pool, &params).await?;
        }
        Ok(())
    }

    async fn enqueue_ping(&self) -> anyhow::Result<()> {
        awa::insert_with(&self.pool, &Ping {}, options()).await?;
        Ok(())
    }

    async fn unfinished(&self) -> anyhow::Result<i64> {
        let counts = self.storage.queue_counts(&self.pool, QUEUE).await?;
        Ok(counts.available + counts.running)
    }

    async fn work(&self, role: Role) -> anyhow::Result<()> {
        let config = match role {
            Role::Pickup => QueueConfig::default(),
            Role::Drain | Role::Steps => QueueConfig {
                max_workers: 256,
                poll_interval: Duration::from_millis(50),
                deadline_duration: Duration::ZERO,
                ..QueueConfig::default()
            },
        };
        let client = Client::builder(self.pool.clone())
            .queue(QUEUE, config)
            .register::<NoOp, _, _>(|_, _| async {
                jobs::count();
                Ok(JobResult::Completed)
            })
            .register::<Ping, _, _>(|_, _| async {
                jobs::picked_up();
                Ok(JobResult::Completed)
            })
            .build()?;
        client.start().await?;
        std::future::pending().await
    }
}
