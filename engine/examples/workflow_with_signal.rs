//! A workflow that waits for a person: it reserves, asks for approval, and ships; refused, it is undone.
//!
//! `DATABASE_URL=postgres://… cargo run -p engine --example workflow_with_signal`, in any database: it makes the engine's tables.

use std::time::Duration;

use engine::{Client, Failure, Job, JobResult, Kinds, NewJob, Outcome, Run, Tx, Worker, WorkerConfig};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Order {
    number: u32,
}

impl Job for Order {
    const KIND: &'static str = "demo.order";

    async fn run(&self, run: &mut Run) -> JobResult {
        let give_back = NewJob::of(&GiveBack { number: self.number })?;
        // The effect, the note that it is done and what undoes it commit together; no later attempt does it again.
        run.step("reserve", async |tx: &mut Tx| tx.compensate_with(&give_back).await).await?;
        run.sleep("let it settle", Duration::from_secs(1)).await?;
        // The attempt ends here; the workflow runs again when the event comes, or after a day.
        let approved: Option<bool> = run.wait_event("approval", &self.number.to_string(), Duration::from_hours(24)).await?;
        if approved != Some(true) {
            return Err(Failure::business_rule(format!("order {} was not approved", self.number)));
        }
        let sent = run.step_outside("ship", async |key: String| Ok(format!("parcel of request {key}"))).await?;
        Ok(Outcome::Done(serde_json::json!({ "sent": sent })))
    }
}

/// Undoes the reservation.
#[derive(Serialize, Deserialize)]
struct GiveBack {
    number: u32,
}

impl Job for GiveBack {
    const KIND: &'static str = "demo.give_back";

    async fn run(&self, _: &mut Run) -> JobResult {
        println!("order {} is given back", self.number);
        Ok(Outcome::done())
    }
}

/// Runs it; the tests do too.
#[tokio::main]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = engine::pool_options().connect(&std::env::var("DATABASE_URL")?).await?;
    migrations::run_engine(&mut *pool.acquire().await?).await?;
    let (client, shutdown) = (Client::new(pool.clone()), CancellationToken::new());
    let kinds = Kinds::new().with::<Order>().with::<GiveBack>();
    let worker = tokio::spawn(Worker::new(pool, kinds, WorkerConfig::default()).run(shutdown.clone()));
    let id = client.enqueue(&NewJob::of(&Order { number: 7 })?).await?.id;
    // What a person would say in another process. It may come first: it is not lost.
    client.emit("approval", "7", &true, Some("click 1")).await?;
    println!("{:?}", client.wait_for_end(id, Duration::from_secs(30)).await?);
    shutdown.cancel();
    Ok(worker.await??)
}
