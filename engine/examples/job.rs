//! A job, enqueued once an hour at most, and a worker that runs until Ctrl-C.
//!
//! `DATABASE_URL=postgres://… cargo run -p engine --example job -- Ada`, in any database: it makes the engine's tables.

use std::time::Duration;

use engine::{Client, Job, JobResult, Kinds, NewJob, Outcome, Run, Worker, WorkerConfig};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Greet {
    name: String,
}

impl Job for Greet {
    const KIND: &'static str = "demo.greet";
    const TIMEOUT: Duration = Duration::from_secs(10);

    async fn run(&self, run: &mut Run) -> JobResult {
        run.log(&format!("greeting {}", self.name)).await?;
        println!("Hello, {}, from attempt {} of job {}", self.name, run.attempt(), run.job_id());
        Ok(Outcome::Done(serde_json::json!({ "greeted": self.name })))
    }
}

/// Runs it; the tests do too.
#[tokio::main]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = engine::pool_options().connect(&std::env::var("DATABASE_URL")?).await?;
    migrations::run_engine(&mut *pool.acquire().await?).await?;
    let name = std::env::args().nth(1).unwrap_or_else(|| "world".into());
    let job = NewJob::of(&Greet { name })?.unique_args().unique_for(Duration::from_hours(1));
    let enqueued = Client::new(pool.clone()).enqueue(&job).await?;
    println!("job {} {}", enqueued.id, if enqueued.created { "enqueued" } else { "was enqueued before" });

    let shutdown = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(pool, Kinds::new().with::<Greet>(), WorkerConfig::default()).run(shutdown.clone()));
    tokio::signal::ctrl_c().await?;
    shutdown.cancel();
    Ok(worker.await??)
}
