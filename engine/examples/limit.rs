//! Two calls to each shop at once and five exports in any second, over all worker processes together.
//!
//! `DATABASE_URL=postgres://user@host/database cargo run -p engine --example limit`, in any database: it makes the
//! engine's tables. While it runs: `rawops limits list`, `rawops limits set key 'shop:*' --at-once 1`,
//! `rawops pause key shop:1 --for 30s`, and `rawops why` with the number of a job.

use std::time::Duration;

use engine::{Client, Job, JobResult, Kinds, Limit, NewJob, Outcome, Rate, Run, Worker, WorkerConfig};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// Calls a shop.
#[derive(Serialize, Deserialize)]
struct CallShop {
    shop: u32,
}

impl Job for CallShop {
    const KIND: &'static str = "demo.call_shop";
    const LIMITS: &'static [Limit] = &[Limit::of_key("shop:*").at_once(2)];

    async fn run(&self, run: &mut Run) -> JobResult {
        println!("job {} calls shop {}", run.job_id(), self.shop);
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Outcome::done())
    }
}

/// Exports something.
#[derive(Serialize, Deserialize)]
struct Export {}

impl Job for Export {
    const KIND: &'static str = "demo.export";
    const LIMITS: &'static [Limit] = &[Limit::of_kind("demo.export").rate(Rate::new(5, Duration::from_secs(1)))];

    async fn run(&self, run: &mut Run) -> JobResult {
        println!("job {} exports", run.job_id());
        Ok(Outcome::done())
    }
}

/// Runs it; the tests do too.
#[tokio::main]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = engine::pool_options().connect(&std::env::var("DATABASE_URL")?).await?;
    migrations::run_engine(&mut *pool.acquire().await?).await?;
    let stop = CancellationToken::new();
    let kinds = Kinds::new().with::<CallShop>().with::<Export>();
    let worker = tokio::spawn(Worker::new(pool.clone(), kinds, WorkerConfig::default()).run(stop.clone()));

    let client = Client::new(pool);
    let mut last = None;
    for n in 0..20 {
        let number = n % 3;
        client.enqueue(&NewJob::of(&CallShop { shop: number })?.limit_key(format!("shop:{number}"))).await?;
        last = Some(client.enqueue(&NewJob::of(&Export {})?).await?.id);
    }
    if let Some(last) = last {
        println!("the last export: {:?}", client.wait_for_end(last, Duration::from_mins(1)).await?);
    }
    stop.cancel();
    worker.await??;
    Ok(())
}
