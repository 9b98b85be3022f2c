//! Admission: when jobs with limit keys are let into `ready`.

use std::time::Duration;

use engine::{Client, NewJob, WorkerConfig, store::cancel_request};

use super::hand::count;
use super::jobs::{Running, of, state_of, until_state};
use crate::support::{
    Database,
    kinds::{self, NoOp, Sleep},
    wait,
};

/// Keys, and of each as many jobs as one without a limit may have in `ready`: together more than are let in at once.
const KEYS: i64 = 50;
const OF_EACH: i64 = 100;

#[tokio::test]
async fn a_flood_is_let_in_one_part_after_the_other_though_the_only_worker_gets_to_none_of_it() {
    let db = Database::new().await;
    let (pool, client) = (db.pool(), Client::new(db.pool().clone()));
    let long = client.enqueue(&of(&Sleep { ms: 600_000 })).await.expect("enqueued").id;
    let worker = Running::with(pool, kinds::kinds(), WorkerConfig { concurrency: 1, ..WorkerConfig::default() });
    until_state(pool, long, "running").await;
    let flood: Vec<NewJob> = (0..KEYS * OF_EACH).map(|n| of(&NoOp { n }).limit_key(format!("flood {}", n % KEYS))).collect();
    client.enqueue_many(&flood).await.expect("enqueued");
    let all_in = || async { count(pool, "select count(*) from engine.slot").await == KEYS * OF_EACH };
    wait::until("all are let in", Duration::from_secs(30), all_in).await;
    assert_eq!(state_of(pool, long).await, "running", "the worker had no room all along");
    cancel_request::cancel(pool, long, "a test", None).await.expect("cancelled");
    let all_done =
        || async { count(pool, "select count(*) from engine.waiting").await + count(pool, "select count(*) from engine.slot").await == 0 };
    wait::until("all have run", Duration::from_mins(1), all_done).await;
    worker.stop().await;
}
