//! How a job is tested: what its producer describes, without a database; and what it does, in one.
//!
//! `DATABASE_URL=postgres://… cargo run -p engine --example testing`, in any database: it makes the engine's tables. Elsewhere the
//! first two functions below `order_placed` are a `#[test]` and a `#[tokio::test]`.

use std::{error::Error, time::Duration};

use engine::{Client, Ending, Job, JobResult, Kinds, NewJob, Outcome, PgPool, Run, Worker, WorkerConfig};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Adds up what an order costs.
#[derive(Serialize, Deserialize)]
struct AddUp {
    pence: Vec<u32>,
}

impl Job for AddUp {
    const KIND: &'static str = "demo.add_up";

    async fn run(&self, _: &mut Run) -> JobResult {
        Ok(Outcome::Done(json!({ "pence": self.pence.iter().sum::<u32>() })))
    }
}

/// What the program enqueues for an order.
fn order_placed(pence: &[u32]) -> Result<NewJob, serde_json::Error> {
    let job = NewJob::of(&AddUp { pence: pence.to_vec() })?;
    Ok(if pence.len() > 2 { job.priority(7) } else { job })
}

/// Needs no database.
fn a_large_order_is_added_up_later() -> Result<(), Box<dyn Error>> {
    let job = order_placed(&[1, 2, 3])?;
    assert_eq!((job.kind(), job.args().get()), ("demo.add_up", r#"{"pence":[1,2,3]}"#));
    assert_eq!(job.options().priority, 7);
    Ok(())
}

/// Runs the job, and all that it would enqueue. Says how many attempts completed.
async fn an_order_is_added_up(pool: PgPool) -> Result<u64, Box<dyn Error>> {
    let client = Client::new(pool.clone());
    let id = client.enqueue(&order_placed(&[250, 1200])?).await?.id;
    let worker = Worker::new(pool, Kinds::new().with::<AddUp>(), WorkerConfig::default());
    let drained = worker.drain(Duration::from_secs(30)).await?;
    assert_eq!(client.ending(id).await?, Some(Ending::Completed(json!({ "pence": 1450 }))));
    Ok(drained.completed)
}

/// Runs it; the tests do too.
#[tokio::main]
pub async fn main() -> Result<(), Box<dyn Error>> {
    a_large_order_is_added_up_later()?;
    let pool = engine::pool_options().connect(&std::env::var("DATABASE_URL")?).await?;
    migrations::run_engine(&mut *pool.acquire().await?).await?;
    println!("the job does what it should: it completed {} time", an_order_is_added_up(pool).await?);
    Ok(())
}
