//! The leading scheduler killed again and again, stopped and continued, and the clock set ahead and back: every
//! occurrence makes one job, and none is left out.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use crate::support::{
    Database, clock,
    ledger::{self, count},
    scheduling::{LEASE, SchedulerProcess},
    wait::until,
};

const LIMIT: Duration = Duration::from_mins(1);

/// The occurrences of a schedule, in order, each with its job.
async fn occurrences(pool: &PgPool, schedule: &str) -> Vec<(DateTime<Utc>, Option<i64>)> {
    sqlx::query_as("select occurrence, job_id from engine.occurrence where schedule = $1 order by occurrence")
        .bind(schedule)
        .fetch_all(pool)
        .await
        .expect("the history can be read")
}

/// Fails unless each occurrence from the first to the last is there and made a job of its own. Returns how many there are.
async fn check_schedule(pool: &PgPool, schedule: &str, seconds: i64) -> usize {
    let occurrences = occurrences(pool, schedule).await;
    for pair in occurrences.windows(2) {
        assert_eq!(pair[1].0 - pair[0].0, TimeDelta::seconds(seconds), "{schedule}: something is left out after {}", pair[0].0);
    }
    assert!(occurrences.iter().all(|(at, job)| at.timestamp() % seconds == 0 && job.is_some()), "{schedule}");
    occurrences.len()
}

/// Fails unless both schedules came each time they should and made a job each time.
async fn check(pool: &PgPool) -> usize {
    let fired = check_schedule(pool, "every_second", 1).await + check_schedule(pool, "every_other_second", 2).await;
    assert_eq!(count(pool, "select count(distinct job_id) from engine.occurrence").await, fired as i64, "two share a job");
    assert_eq!(count(pool, "select count(*) from engine.job where id in (select job_id from engine.occurrence)").await, fired as i64);
    assert_eq!(count(pool, "select count(*) from engine.job").await, fired as i64, "a job was made that no occurrence has");
    ledger::check(pool).await;
    fired
}

async fn fired(pool: &PgPool) -> i64 {
    count(pool, "select count(*) from engine.occurrence").await
}

/// Waits until one of the processes leads, and returns its place.
async fn leader(pool: &PgPool, processes: &[SchedulerProcess]) -> usize {
    let find = async || {
        for (place, process) in processes.iter().enumerate() {
            if process.leads(pool).await {
                return Some(place);
            }
        }
        None
    };
    until("one of the processes leads", LIMIT, async || find().await.is_some()).await;
    let (begun, mut found) = (Instant::now(), None);
    while found.is_none() && begun.elapsed() < LIMIT {
        found = find().await;
    }
    found.expect("somebody led a moment ago")
}

async fn until_fired(pool: &PgPool, more: i64) {
    let wanted = fired(pool).await + more;
    until("more occurrences are fired", LIMIT, async || fired(pool).await >= wanted).await;
}

/// Waits until everything has been dealt with that has come by now, so that the last look is no half one.
async fn until_caught_up(pool: &PgPool) {
    let now = ledger::now(pool).await;
    until("the schedulers have caught up", LIMIT, async || {
        let behind: i64 = sqlx::query_scalar("select count(*) from engine.schedule where done_to < $1 - interval '2 seconds'")
            .bind(now)
            .fetch_one(pool)
            .await
            .expect("the schedules can be read");
        behind == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_occurrence_makes_one_job_while_the_leader_is_killed_again_and_again() {
    let db = Database::new().await;
    let pool = db.pool();
    let mut processes: Vec<_> = (0..3).map(|_| SchedulerProcess::start(&db.url(), None)).collect();
    for round in 0..6 {
        until_fired(pool, 3).await;
        let place = leader(pool, &processes).await;
        if round % 3 == 2 {
            // Stopped for longer than its lease, it wakes up as one who believes that it leads.
            processes[place].signal("STOP");
            until("somebody else leads", LIMIT, async || !processes[place].leads(pool).await).await;
            until_fired(pool, 2).await;
            processes[place].signal("CONT");
        } else {
            processes[place].signal("KILL");
            processes[place] = SchedulerProcess::start(&db.url(), None);
        }
    }
    until_fired(pool, 6).await;
    until_caught_up(pool).await;
    drop(processes);
    let terms: i64 = count(pool, "select max(term) from engine.leader").await;
    assert!(terms >= 7, "each round had a leader of its own: {terms}");
    let fired = check(pool).await;
    println!("{fired} occurrences under {terms} leaders, lease {LEASE:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_occurrence_makes_one_job_while_the_clock_is_set_ahead_and_back() {
    let db = Database::new().await;
    let pool = db.pool();
    clock::own(pool).await;
    let mut processes: Vec<_> = (0..2).map(|_| SchedulerProcess::start(&db.url(), None)).collect();
    for (round, step) in [90.0, -30.0, 0.4, -0.7, 200.0, -100.0].into_iter().enumerate() {
        until_fired(pool, 3).await;
        if round % 2 == 1 {
            let place = leader(pool, &processes).await;
            processes[place].signal("KILL");
            processes[place] = SchedulerProcess::start(&db.url(), None);
        }
        clock::step(pool, step).await;
        let now = ledger::now(pool).await;
        until("the schedulers follow the clock", LIMIT, async || {
            let following: i64 =
                sqlx::query_scalar("select count(*) from engine.schedule where done_to between $1 - interval '2 seconds' and engine.now()")
                    .bind(now)
                    .fetch_one(pool)
                    .await
                    .expect("the schedules can be read");
            following == 2
        })
        .await;
    }
    clock::step(pool, 101.0).await;
    until_caught_up(pool).await;
    drop(processes);
    let fired = check(pool).await;
    assert!(fired > 400, "the steps ahead were caught up with: {fired}");
}

#[cfg_attr(not(has_faketime), ignore = "libfaketime is not here: install the package faketime")]
#[tokio::test(flavor = "multi_thread")]
async fn schedulers_a_day_early_and_a_day_late_fire_by_the_databases_clock() {
    let db = Database::new().await;
    let pool = db.pool();
    let mut processes: Vec<_> = ["+1d", "-1d", "+1d"].iter().map(|offset| SchedulerProcess::start(&db.url(), Some(offset))).collect();
    for _ in 0..2 {
        until_fired(pool, 4).await;
        let place = leader(pool, &processes).await;
        drop(processes.remove(place));
    }
    until_fired(pool, 4).await;
    until_caught_up(pool).await;
    drop(processes);
    check(pool).await;
    let untimely = "select count(*) from engine.occurrence where occurrence > fired_at or fired_at > engine.now()";
    assert_eq!(count(pool, untimely).await, 0, "something was fired by another clock");
}
