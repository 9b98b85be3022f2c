//! What the job of a schedule knows of it.

use chrono_tz::Europe::London;
use engine::{Client, Job, JobResult, Kinds, NewJob, Outcome, Run, schedule::Schedule};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::schedules::{database, half_past, look, scheduler};
use crate::support::run_all;

/// Says for which time it was made.
#[derive(Default, Serialize, Deserialize)]
struct TellsTime {}

impl Job for TellsTime {
    const KIND: &'static str = "test.tells_time";

    async fn run(&self, run: &mut Run) -> JobResult {
        let occurrence = run.occurrence().await?;
        Ok(Outcome::Done(json!(occurrence.map(|came| (came.schedule, came.occurrence, came.how)))))
    }
}

#[tokio::test]
async fn a_job_knows_for_which_time_of_its_schedule_it_was_made() {
    const TELLS: Schedule = Schedule::of::<TellsTime>("tells", "17 * * * *", London, "For testing");
    let db = database().await;
    let mut scheduler = scheduler(&db, &[TELLS]);
    look(&mut scheduler, half_past(0)).await;
    assert_eq!(look(&mut scheduler, half_past(1)).await.fired, 1);
    Client::new(db.pool().clone()).enqueue(&NewJob::of(&TellsTime {}).expect("JSON")).await.expect("enqueued");
    run_all(&db, Kinds::new().with::<TellsTime>()).await;
    let told: Vec<Value> =
        sqlx::query_scalar("select output from engine.attempt order by job_id").fetch_all(db.pool()).await.expect("what they said");
    assert_eq!(told, [json!(["tells", "2026-06-01T11:17:00Z", "cron"]), Value::Null]);
}
