//! Workers whose clocks are a day off: the database's clock is the only one that counts.

use std::time::Duration;

use chrono::TimeDelta;
use engine::{Client, NewJob};

use crate::support::{
    Database,
    kinds::{Fail, Sleep},
    ledger::{self, count},
    process::WorkerOptions,
};

/// Attempts that say they were made before the test began, in the future, or earlier than their job was due.
const UNTIMELY: &str = "select count(*) from engine.attempt a join engine.job j on j.id = a.job_id
    where a.started_at < j.created_at or a.finished_at > engine.now() or a.finished_at < a.started_at
       or (j.unique_key = 'due' and a.started_at < j.created_at + interval '2 seconds')";

#[cfg_attr(not(has_faketime), ignore = "libfaketime is not here: install the package faketime")]
#[tokio::test(flavor = "multi_thread")]
async fn workers_a_day_early_and_a_day_late_work_as_if_their_clocks_were_right() {
    let db = Database::new().await;
    let pool = db.pool();
    let options = WorkerOptions::new(db.url()).concurrency(4).lease(Duration::from_secs(2));
    let workers = [options.clone().clock("+1d").start(), options.clone().clock("-1d").start(), options.start()];
    for process in &workers {
        ledger::worker_of(pool, process.pid()).await;
    }
    let client = Client::new(pool.clone());
    let job = |n: u64| NewJob::of(&Sleep { ms: 20 + n % 60 }).expect("arguments serialise");
    let mut jobs: Vec<NewJob> = (0..400).map(job).collect();
    jobs.extend((0..20).map(|_| NewJob::of(&Fail { category: "conflict".into(), times: 1 }).expect("arguments serialise")));
    let due = ledger::now(pool).await + TimeDelta::seconds(2);
    jobs.push(job(0).run_at(due).unique_key("due"));
    client.enqueue_many(&jobs).await.expect("enqueued");
    ledger::all_ended(pool, Duration::from_mins(1)).await;

    assert_eq!(ledger::outcome(pool, "completed").await, 421);
    assert_eq!(ledger::outcome(pool, "lost").await, 0, "no lease ran out by another clock");
    assert_eq!(count(pool, UNTIMELY).await, 0);
    assert_eq!(count(pool, "select count(distinct worker_id) from engine.attempt").await, 3, "each of them worked");
    ledger::check(pool).await;
}
