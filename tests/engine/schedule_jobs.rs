//! What the job of a schedule knows of it.

use chrono_tz::Europe::London;
use engine::{
    Client, Failure, Job, JobResult, Kinds, NewJob, Outcome, Run,
    schedule::Schedule,
    store::{dead_letter, occurrence},
};
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
        let made_for = run.occurrence().await?;
        Ok(Outcome::Done(json!(made_for.map(|came| (came.schedule, came.due, came.how)))))
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
    let told: Vec<Value> = sqlx::query_scalar("select coalesce(output, 'null') from engine.attempt order by job_id")
        .fetch_all(db.pool())
        .await
        .expect("what they said");
    assert_eq!(told, [json!(["tells", "2026-06-01T11:17:00Z", "misfire"]), Value::Null]);
}

/// Fails in its first run, for good.
#[derive(Default, Serialize, Deserialize)]
struct FailsOnce {}

impl Job for FailsOnce {
    const KIND: &'static str = "test.fails_once";

    async fn run(&self, run: &mut Run) -> JobResult {
        let made_for = run.occurrence().await?;
        let letters: i64 = sqlx::query_scalar("select count(*) from engine.dead_letter_queue").fetch_one(run.pool()).await?;
        if letters == 0 {
            return Err(Failure::validation("on purpose"));
        }
        Ok(Outcome::Done(json!(made_for.map(|came| came.due))))
    }
}

#[tokio::test]
async fn a_job_in_the_place_of_a_dead_one_knows_for_which_time_that_was_made() {
    const FAILS: Schedule = Schedule { job: || Ok(NewJob::of(&FailsOnce {})?.max_attempts(1)), ..FAILS_AS_IT_IS };
    const FAILS_AS_IT_IS: Schedule = Schedule::of::<FailsOnce>("fails", "17 * * * *", London, "For testing");
    let db = database().await;
    let mut scheduler = scheduler(&db, &[FAILS]);
    look(&mut scheduler, half_past(0)).await;
    assert_eq!(look(&mut scheduler, half_past(1)).await.fired, 1);
    let kinds = || Kinds::new().with::<FailsOnce>();
    run_all(&db, kinds()).await;
    let letters = dead_letter::list(db.pool(), &dead_letter::Filter::default(), 9).await.expect("one letter");
    let again = dead_letter::requeue(db.pool(), letters[0].id, "ada", None).await.expect("requeued");
    run_all(&db, kinds()).await;
    let told: Value = sqlx::query_scalar("select output from engine.attempt where job_id = $1")
        .bind(again)
        .fetch_one(db.pool())
        .await
        .expect("its output");
    assert_eq!(told, json!("2026-06-01T11:17:00Z"));
}

#[tokio::test]
async fn a_job_that_a_schedule_found_was_not_made_for_it() {
    const KEYED: Schedule = Schedule { job: || Ok(NewJob::of(&TellsTime {})?.unique_key("one")), ..AS_IT_IS };
    const AS_IT_IS: Schedule = Schedule::of::<TellsTime>("keyed", "17 * * * *", London, "For testing");
    let db = database().await;
    let mut scheduler = scheduler(&db, &[KEYED]);
    look(&mut scheduler, half_past(0)).await;
    Client::new(db.pool().clone()).enqueue(&NewJob::of(&TellsTime {}).expect("JSON").unique_key("one")).await.expect("enqueued");
    look(&mut scheduler, half_past(1)).await;
    let found = occurrence::list(db.pool(), "keyed", 9).await.expect("its history");
    assert!(found.len() == 1 && found[0].job_id.is_some(), "{found:?}");
    run_all(&db, Kinds::new().with::<TellsTime>()).await;
    let told: Vec<Value> =
        sqlx::query_scalar("select coalesce(output, 'null') from engine.attempt").fetch_all(db.pool()).await.expect("what it said");
    assert_eq!(told, [Value::Null]);
}
