//! What a long transaction adds stands below positions that were claimed meanwhile, and runs when it commits, however much it is.

use std::time::{Duration, Instant};

use engine::{NewJob, WorkerConfig};

use super::{
    hand::{count, enqueue},
    jobs::{Running, of, until_state},
};
use crate::support::{Database, kinds, kinds::NoOp, wait};

/// More than claims take that look back once in three seconds, and far more than one of them takes.
const LATE: i64 = 4000;

#[tokio::test]
async fn thousands_of_jobs_of_a_transaction_that_was_open_for_seconds_run_when_it_commits() {
    let db = Database::new().await;
    let worker = Running::with(db.pool(), kinds::kinds(), WorkerConfig { concurrency: 8, ..WorkerConfig::default() });
    // The lane is there already: who makes it holds up all that enqueue into it.
    let first = *enqueue(db.pool(), 1).await.last().expect("a job");
    until_state(db.pool(), first, "completed").await;
    let jobs: Vec<NewJob> = (0..LATE).map(|n| of(&NoOp { n })).collect();
    let mut late = db.pool().begin().await.expect("a transaction");
    engine::enqueue_many_in(&mut late, &jobs).await.expect("enqueued");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2500) {
        let last = *enqueue(db.pool(), 20).await.last().expect("jobs");
        until_state(db.pool(), last, "completed").await;
    }
    late.commit().await.expect("committed");
    wait::until_every(Duration::from_millis(100), "all have run", Duration::from_mins(2), || async {
        // Also those that the worker has in hand, which it would give back if it were told to stop.
        count(db.pool(), "select count(*) from engine.job_state where state <> 'completed'").await == 0
    })
    .await;
    worker.stop().await;
}
