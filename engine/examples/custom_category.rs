//! A failure of a category of the application's own, and the row of the retry policy that says what follows.
//!
//! `DATABASE_URL=postgres://… cargo run -p engine --example custom_category`, in any database: it makes the engine's tables.

use std::time::Duration;

use engine::{Category, Client, Failure, Job, JobResult, Kinds, NewJob, Outcome, Run, Worker, WorkerConfig};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// The oven is busy; it will be free in a moment.
const OVEN_BUSY: Category = Category::Other("oven_busy");

#[derive(Serialize, Deserialize)]
struct Bake {
    loaves: u32,
}

impl Job for Bake {
    const KIND: &'static str = "demo.bake";

    async fn run(&self, run: &mut Run) -> JobResult {
        if run.attempt() < 3 {
            return Err(Failure::new(OVEN_BUSY, format!("the oven is busy at attempt {}", run.attempt())));
        }
        println!("baked {} loaves at attempt {}", self.loaves, run.attempt());
        Ok(Outcome::done())
    }
}

/// Runs it; the tests do too.
#[tokio::main]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = engine::pool_options().connect(&std::env::var("DATABASE_URL")?).await?;
    migrations::run_engine(&mut *pool.acquire().await?).await?;
    // An application does this in a migration. Operators change it while everything runs.
    sqlx::query(
        "insert into engine.retry_config (error_category, max_attempts, backoff_seconds) values ('oven_busy', 5, '{1,2,5}')
         on conflict do nothing",
    )
    .execute(&pool)
    .await?;
    let (client, shutdown) = (Client::new(pool.clone()), CancellationToken::new());
    let worker = tokio::spawn(Worker::new(pool, Kinds::new().with::<Bake>(), WorkerConfig::default()).run(shutdown.clone()));
    let id = client.enqueue(&NewJob::of(&Bake { loaves: 12 })?).await?.id;
    println!("{:?}", client.wait_for_end(id, Duration::from_secs(30)).await?);
    shutdown.cancel();
    Ok(worker.await??)
}
