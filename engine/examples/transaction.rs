//! Effects, a follow-up job and the end of the job in one COMMIT: all of it happens, or none.
//!
//! `DATABASE_URL=postgres://… cargo run -p engine --example transaction`, in any database: it makes the engine's tables.

use std::time::Duration;

use engine::{Client, Ending, Job, JobResult, Kinds, NewJob, Outcome, Run, Worker, WorkerConfig};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Counts a visit, and asks for the visitor to be thanked.
#[derive(Serialize, Deserialize)]
struct CountVisit {
    visitor: String,
}

impl Job for CountVisit {
    const KIND: &'static str = "demo.count_visit";

    async fn run(&self, run: &mut Run) -> JobResult {
        // Refused when this attempt is no longer this worker's; until it ends nobody else can have the job.
        let mut tx = run.begin().await?;
        let count: i64 = sqlx::query_scalar(
            "insert into demo_visit (visitor, visits) values ($1, 1)
             on conflict (visitor) do update set visits = demo_visit.visits + 1 returning visits",
        )
        .bind(&self.visitor)
        .fetch_one(&mut *tx)
        .await?;
        run.enqueue_in(&mut tx, &NewJob::of(&Thank { visitor: self.visitor.clone() })?).await?;
        run.complete_in(tx, json!({ "visits": count })).await
    }
}

#[derive(Serialize, Deserialize)]
struct Thank {
    visitor: String,
}

impl Job for Thank {
    const KIND: &'static str = "demo.thank";

    async fn run(&self, _run: &mut Run) -> JobResult {
        println!("Thank you, {}", self.visitor);
        Ok(Outcome::done())
    }
}

/// Runs it; the tests do too.
#[tokio::main]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = engine::pool_options().connect(&std::env::var("DATABASE_URL")?).await?;
    migrations::run_engine(&mut *pool.acquire().await?).await?;
    sqlx::query("create table if not exists demo_visit (visitor text primary key, visits bigint not null)").execute(&pool).await?;
    let (client, shutdown) = (Client::new(pool.clone()), CancellationToken::new());
    let kinds = Kinds::new().with::<CountVisit>().with::<Thank>();
    let worker = tokio::spawn(Worker::new(pool, kinds, WorkerConfig::default()).run(shutdown.clone()));

    let visit = client.enqueue(&NewJob::of(&CountVisit { visitor: "Ada".into() })?).await?;
    match client.wait_for_end(visit.id, Duration::from_secs(30)).await? {
        Some(Ending::Completed(output)) => println!("counted: {output}"),
        other => println!("not counted: {other:?}"),
    }
    shutdown.cancel();
    Ok(worker.await??)
}
