//! The scheduler, driven by given times.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use chrono_tz::Europe::London;
use engine::{Job, NewJob, store::leader};
use schedules::Schedule;
use sqlx::PgPool;
use workers::scheduler::{Config, Counts, Scheduler};

use crate::support::{
    Database,
    kinds::{self, NoOp},
    ledger::{count, now},
    run_all,
};

const HOURLY: Schedule = Schedule {
    name: "hourly",
    cron: "17 * * * *",
    zone: London,
    description: "For testing",
    kind: NoOp::KIND,
    job: || NewJob::of(&NoOp { n: 1 }),
};
const BROKEN: Schedule = Schedule { name: "broken", cron: "61 * * * *", ..HOURLY };
const MONTHLY: Schedule = Schedule { name: "monthly", cron: "0 0 1 * *", ..HOURLY };

fn scheduler(db: &Database, schedules: &'static [Schedule]) -> Scheduler {
    Scheduler::new(db.pool().clone(), schedules, Config::default())
}

/// Half past an hour that is `hours` hours ahead.
async fn half_past(pool: &PgPool, hours: i64) -> DateTime<Utc> {
    let hour = now(pool).await.duration_trunc(TimeDelta::hours(1)).expect("an hour");
    hour + TimeDelta::hours(hours) + TimeDelta::minutes(30)
}

async fn look(scheduler: &mut Scheduler, at: DateTime<Utc>) -> Counts {
    scheduler.run_once(at).await.expect("the database answers")
}

async fn jobs(db: &Database) -> i64 {
    count(db.pool(), "select count(*) from engine.job").await
}

async fn end_the_lead(db: &Database) {
    sqlx::query("update engine.leader set until = engine.now()").execute(db.pool()).await.expect("a lead can end");
}

const LEADS: Counts = Counts { leads: true, fired: 0, known: 0, failed: 0 };

#[tokio::test]
async fn two_schedulers_make_one_job_of_an_occurrence() {
    let db = Database::new().await;
    let (mut first, mut second) = (scheduler(&db, &[HOURLY]), scheduler(&db, &[HOURLY]));
    let at = half_past(db.pool(), 1).await;
    assert_eq!(look(&mut first, at).await, Counts { fired: 1, ..LEADS });
    assert_eq!(look(&mut second, at).await, Counts::default(), "the first one leads");
    assert_eq!(look(&mut first, at + TimeDelta::minutes(20)).await, LEADS, "nothing new");

    run_all(&db, kinds::kinds()).await;
    end_the_lead(&db).await;
    assert_eq!(look(&mut second, at).await, Counts { known: 1, ..LEADS }, "the key of the occurrence is used");
    assert_eq!(look(&mut second, at + TimeDelta::hours(1)).await, Counts { fired: 1, ..LEADS });
    assert_eq!(look(&mut first, at + TimeDelta::hours(1)).await, Counts::default());
    assert_eq!(jobs(&db).await, 2);
}

#[tokio::test]
async fn an_act_of_an_earlier_term_is_refused() {
    let db = Database::new().await;
    let lead = async |holder| leader::lead(db.pool(), "test", holder, 10_000).await.expect("the database answers");
    let first = lead(1).await.expect("nobody leads yet");
    assert_eq!(lead(2).await, None);
    assert_eq!(lead(1).await.as_ref(), Some(&first), "the same holder keeps its term");
    let mut connection = db.pool().acquire().await.expect("a connection");
    assert!(leader::still_leads(&mut connection, &first).await.expect("the database answers"));
    end_the_lead(&db).await;
    assert!(!leader::still_leads(&mut connection, &first).await.expect("the database answers"));
    let second = lead(2).await.expect("the lead is free");
    assert_eq!(second.term, first.term + 1);
    assert!(!leader::still_leads(&mut connection, &first).await.expect("the database answers"));
}

#[tokio::test]
async fn of_missed_occurrences_only_the_latest_is_made_good() {
    let db = Database::new().await;
    let mut scheduler = scheduler(&db, &[HOURLY]);
    assert_eq!(look(&mut scheduler, now(db.pool()).await).await, LEADS, "what was due before it was known is not missed");
    let at = half_past(db.pool(), 30).await;
    assert_eq!(look(&mut scheduler, at).await, Counts { fired: 1, ..LEADS });
    assert_eq!(jobs(&db).await, 1);
    let key: String = sqlx::query_scalar("select key from engine.enqueue_key").fetch_one(db.pool()).await.expect("one key");
    assert_eq!(key, format!("hourly {}", (at - TimeDelta::minutes(13)).format("%Y-%m-%dT%H:%M:%SZ")));
}

#[tokio::test]
async fn an_occurrence_that_comes_while_the_last_job_lives_makes_no_second_one() {
    let db = Database::new().await;
    let mut scheduler = scheduler(&db, &[HOURLY]);
    assert_eq!(look(&mut scheduler, half_past(db.pool(), 1).await).await.fired, 1);
    assert_eq!(look(&mut scheduler, half_past(db.pool(), 2).await).await, Counts { known: 1, ..LEADS });
    run_all(&db, kinds::kinds()).await;
    assert_eq!(look(&mut scheduler, half_past(db.pool(), 3).await).await.fired, 1);
    assert_eq!(jobs(&db).await, 2);
}

#[tokio::test]
async fn what_was_missed_for_longer_than_keys_are_kept_is_let_go() {
    let db = Database::new().await;
    let mut scheduler = scheduler(&db, &[MONTHLY]);
    look(&mut scheduler, now(db.pool()).await).await;
    let first_of_month = MONTHLY.latest(now(db.pool()).await + TimeDelta::days(62)).expect("it parses");
    assert_eq!(look(&mut scheduler, first_of_month + TimeDelta::days(7)).await, LEADS);
    assert_eq!(jobs(&db).await, 0);
}

#[tokio::test]
async fn one_bad_schedule_does_not_keep_the_others() {
    let db = Database::new().await;
    let mut scheduler = scheduler(&db, &[BROKEN, HOURLY]);
    assert_eq!(look(&mut scheduler, half_past(db.pool(), 1).await).await, Counts { fired: 1, failed: 1, ..LEADS });
}

#[tokio::test]
async fn the_metadata_says_what_is_fired_and_nothing_else() {
    let db = Database::new().await;
    sqlx::query("insert into raw_ops.cron_jobs_metadata (jobname, schedule) values ('of_yesterday', '0 0 * * *')")
        .execute(db.pool())
        .await
        .expect("a row can be made");
    look(&mut scheduler(&db, &[HOURLY]), now(db.pool()).await).await;
    let rows: Vec<(String, String, String)> = sqlx::query_as("select jobname, schedule, description from raw_ops.cron_jobs_metadata")
        .fetch_all(db.pool())
        .await
        .expect("the metadata can be read");
    assert_eq!(rows, [("hourly".into(), "17 * * * * (Europe/London)".into(), "For testing".into())]);
}
