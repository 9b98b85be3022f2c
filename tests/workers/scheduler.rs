//! The scheduler of the house: what it writes down of what it fires. How it fires is in `engine/schedules.rs`.

use std::time::Duration;

use chrono_tz::Europe::London;
use engine::schedule::{Schedule, edit};
use workers::scheduler::{Config, Counts, Scheduler};

use crate::support::{
    Database,
    kinds::Tick,
    ledger::{count, now},
};

/// On leap days only: what came due while a test runs would be fired.
const RARE: Schedule = Schedule::of::<Tick>("rare", "17 3 29 2 *", London, "For testing");
const BROKEN: Schedule = Schedule::of::<Tick>("broken", "61 * * * *", London, "For testing");

async fn look(db: &Database, scheduler: &mut Scheduler) -> Counts {
    scheduler.run_once(now(db.pool()).await).await.expect("the database answers")
}

async fn metadata(db: &Database) -> Vec<(String, String, String)> {
    sqlx::query_as("select jobname, schedule, description from raw_ops.cron_jobs_metadata order by jobname")
        .fetch_all(db.pool())
        .await
        .expect("the metadata can be read")
}

#[tokio::test]
async fn the_metadata_says_what_is_fired_and_nothing_else() {
    let db = Database::new().await;
    sqlx::query("insert into raw_ops.cron_jobs_metadata (jobname, schedule) values ('of_yesterday', '0 0 * * *')")
        .execute(db.pool())
        .await
        .expect("a row can be made");
    let mut scheduler = Scheduler::new(db.pool().clone(), &[RARE], Config::default());
    assert!(look(&db, &mut scheduler).await.leads);
    let row = |line: &str| vec![("rare".to_string(), line.to_string(), "For testing".to_string())];
    assert_eq!(metadata(&db).await, row("17 3 29 2 * (Europe/London)"));

    let change = edit::Change { cron: Some("30 6 * * *".into()), zone: Some("Asia/Tokyo".into()), ..edit::Change::default() };
    edit::set(db.pool(), &RARE, "ada", None, &change).await.expect("it can be changed");
    edit::pause(db.pool(), &RARE, "ada", None).await.expect("it can be paused");
    look(&db, &mut scheduler).await;
    assert_eq!(metadata(&db).await, row("30 6 * * * (Asia/Tokyo, paused)"), "an operator's change is written down");
}

#[tokio::test]
async fn one_that_does_not_lead_writes_nothing_down() {
    let db = Database::new().await;
    let mut first = Scheduler::new(db.pool().clone(), &[RARE], Config::default());
    let mut second = Scheduler::new(db.pool().clone(), &[RARE, BROKEN], Config::default());
    look(&db, &mut first).await;
    assert_eq!(look(&db, &mut second).await, Counts::default());
    assert_eq!(metadata(&db).await.len(), 1);
    sqlx::query("update engine.leader set until = engine.now()").execute(db.pool()).await.expect("a lead can end");
    assert_eq!(look(&db, &mut second).await, Counts { leads: true, failed: 1, ..Counts::default() });
    assert_eq!(metadata(&db).await.len(), 2, "also what cannot fire");
    assert_eq!(count(db.pool(), "select count(*) from engine.schedule where problem like '%is no cron line%'").await, 1);
}

#[test]
fn settings_that_are_not_usable_are_named() {
    let problems = |name: &'static str, value: &'static str| {
        Config::read(|asked| (asked == name).then(|| value.to_string())).expect_err("refused").problems
    };
    assert_eq!(problems("SCHEDULER_LEASE_MS", "2000"), ["the scheduler's lease, SCHEDULER_LEASE_MS, is three ticks or longer"]);
    assert_eq!(
        problems("SCHEDULER_LEASE_MS", "600000"),
        ["the scheduler's lease, SCHEDULER_LEASE_MS, is 300000 ms at most: a successor begins that late"]
    );
    assert_eq!(problems("SCHEDULER_KEPT_DAYS", "0"), ["occurrences of schedules, SCHEDULER_KEPT_DAYS, are kept from 1 to 3650 days"]);
    assert_eq!(Config::read(|_| None).expect("the defaults are usable").lease, Duration::from_secs(10));
}
