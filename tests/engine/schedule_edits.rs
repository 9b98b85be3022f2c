//! What operators change of schedules while they run.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use engine::{
    NewJob,
    schedule::{
        Overlap, Schedule,
        edit::{self, Change, EditError},
    },
    store::occurrence,
};

use super::schedules::{HOURLY, LEADS, REFUSED, database, end_the_lead, look, scheduler};
use crate::support::{
    clock,
    kinds::{self, Tick},
    ledger::{count, now},
    run_all,
};

#[tokio::test]
async fn a_paused_schedule_fires_nothing_and_misses_nothing() {
    let db = database().await;
    let mut scheduler = scheduler(&db, &[HOURLY]);
    look(&mut scheduler, now(db.pool()).await).await;
    edit::pause(db.pool(), &HOURLY, "ada", Some("the freezer is full")).await.expect("it can be paused");
    let again = edit::pause(db.pool(), &HOURLY, "ada", None).await.expect_err("refused").to_string();
    assert_eq!(again, "schedule hourly is paused already, last changed by ada");
    clock::step(db.pool(), 3.0 * 3600.0).await;
    assert_eq!(look(&mut scheduler, now(db.pool()).await).await, LEADS);
    let resumed = edit::resume(db.pool(), &HOURLY, "ada", None).await.expect("it goes on");
    assert!(!resumed.settings.paused);
    assert_eq!(look(&mut scheduler, now(db.pool()).await).await, LEADS, "what came meanwhile is let go");
    clock::step(db.pool(), 3600.0).await;
    assert_eq!(look(&mut scheduler, now(db.pool()).await).await.fired, 1);
    assert!(edit::resume(db.pool(), &HOURLY, "ada", None).await.is_err());
}

#[tokio::test]
async fn what_came_in_a_pause_stays_let_go_when_it_ends_in_the_middle_of_a_look() {
    let db = database().await;
    let mut scheduler = scheduler(&db, &[HOURLY]);
    look(&mut scheduler, now(db.pool()).await).await;
    edit::pause(db.pool(), &HOURLY, "ada", None).await.expect("it can be paused");
    let clock_was_read = now(db.pool()).await;
    clock::step(db.pool(), 3600.0).await;
    edit::resume(db.pool(), &HOURLY, "ada", None).await.expect("it goes on");
    assert_eq!(look(&mut scheduler, clock_was_read).await, LEADS);
    assert_eq!(look(&mut scheduler, now(db.pool()).await).await, LEADS, "what came meanwhile is let go");
}

#[tokio::test]
async fn a_change_counts_from_now_and_can_be_taken_back() {
    let db = database().await;
    let mut scheduler = scheduler(&db, &[HOURLY]);
    look(&mut scheduler, now(db.pool()).await).await;
    clock::step(db.pool(), 5.0 * 3600.0).await;
    let change = Change { cron: Some("* * * * *".into()), zone: Some("Asia/Kathmandu".into()), ..Change::default() };
    let changed = edit::set(db.pool(), &HOURLY, "ada", Some("more often"), &change).await.expect("it can be changed");
    let (settings, by) = (&changed.settings, (changed.changed_by.as_deref(), changed.reason.as_deref()));
    assert_eq!((settings.cron.as_str(), settings.zone.as_str(), by), ("* * * * *", "Asia/Kathmandu", (Some("ada"), Some("more often"))));
    assert_eq!(look(&mut scheduler, now(db.pool()).await).await, LEADS, "the five hours before are not missed");
    clock::step(db.pool(), 60.0).await;
    assert_eq!(look(&mut scheduler, now(db.pool()).await).await.fired, 1);

    let other = Change { overlap: Some(Overlap::Allow), jitter: Some(Duration::from_secs(7)), ..Change::default() };
    let changed = edit::set(db.pool(), &HOURLY, "ada", None, &other).await.expect("it can be changed");
    assert_eq!((changed.settings.cron.as_str(), changed.settings.overlap), ("* * * * *", Overlap::Allow), "the rest stays");
    let back = edit::unset(db.pool(), &HOURLY, "bob", None).await.expect("it can be taken back");
    assert_eq!((back.settings.cron.as_str(), back.edited), ("17 * * * *", false));
    let nothing = edit::unset(db.pool(), &HOURLY, "bob", None).await.expect_err("refused").to_string();
    assert_eq!(nothing, "schedule hourly is as the program has it");
}

#[tokio::test]
async fn a_change_that_says_nothing_is_refused_and_changes_nothing() {
    let db = database().await;
    let refused = async |change: Change| edit::set(db.pool(), &HOURLY, "ada", None, &change).await.expect_err("refused").to_string();
    let line = refused(Change { cron: Some("0 0 31 2 *".into()), ..Change::default() }).await;
    assert_eq!(line, "`0 0 31 2 *` never comes: no date has that day, month and weekday; nothing was changed");
    let zone = refused(Change { zone: Some("London".into()), ..Change::default() }).await;
    assert_eq!(zone, "there is no time zone `London`: did you mean Europe/London?; nothing was changed");
    let jitter = refused(Change { jitter: Some(Duration::from_hours(25)), ..Change::default() }).await;
    assert_eq!(jitter, "a jitter is 24 hours at most; nothing was changed");
    assert_eq!(count(db.pool(), "select count(*) from engine.schedule where edits > 0").await, 0);
}

#[tokio::test]
async fn a_program_that_changes_its_line_counts_from_then_on() {
    let db = database().await;
    look(&mut scheduler(&db, &[HOURLY]), now(db.pool()).await).await;
    clock::step(db.pool(), 7200.0).await;
    let other = Schedule { cron: "*/5 * * * *", ..HOURLY };
    assert_eq!(look(&mut scheduler(&db, &[other]), now(db.pool()).await).await, LEADS);
    clock::step(db.pool(), 300.0).await;
    end_the_lead(&db).await;
    assert_eq!(look(&mut scheduler(&db, &[other]), now(db.pool()).await).await.fired, 1);
}

#[tokio::test]
async fn a_schedule_runs_by_hand_even_while_it_is_paused() {
    let db = database().await;
    edit::pause(db.pool(), &HOURLY, "ada", None).await.expect("no scheduler need have seen it");
    let run = async |anyway| edit::run_now(db.pool(), &HOURLY, "ada", Some("a test"), anyway).await;
    let first = run(false).await.expect("it runs");
    let refused = run(false).await.expect_err("its job lives");
    assert!(matches!(refused, EditError::StillAlive("hourly", job) if job == first.id), "{refused}");
    assert!(run(true).await.expect("it runs anyway").id > first.id);
    let history = occurrence::list(db.pool(), "hourly", 10).await.expect("the history can be read");
    assert!(history.iter().all(|run| run.how == "manual" && run.by.as_deref() == Some("ada") && run.note.as_deref() == Some("a test")));
    assert_eq!((history.len(), history[0].state.as_deref()), (2, Some("ready")));
    run_all(&db, kinds::kinds()).await;
    run(false).await.expect("its jobs have ended");
    let refused = edit::run_now(db.pool(), &REFUSED, "ada", None, false).await.expect_err("its job is no job").to_string();
    assert!(refused.starts_with("schedule refused was not run: its job is refused"), "{refused}");
}

/// Whose jobs take turns, have an end and are made once for the same arguments.
const PARTICULAR: Schedule = Schedule {
    name: "particular",
    job: || Ok(NewJob::of(&Tick {})?.limit_key("one").deadline(DateTime::UNIX_EPOCH + TimeDelta::days(36_500)).unique_args()),
    ..HOURLY
};

#[tokio::test]
async fn a_run_by_hand_makes_the_job_that_the_schedule_makes() {
    let db = database().await;
    let first = edit::run_now(db.pool(), &PARTICULAR, "ada", None, false).await.expect("it runs");
    let same = edit::run_now(db.pool(), &PARTICULAR, "ada", None, true).await.expect("it is asked");
    assert_eq!((same.id, same.created), (first.id, false), "its arguments are unique");
    let made = "select count(*) from engine.job where limit_key = 'one' and deadline is not null and unique_key is not null";
    assert_eq!(count(db.pool(), made).await, 1);
    run_all(&db, kinds::kinds()).await;
}
