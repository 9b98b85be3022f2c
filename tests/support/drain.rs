//! A worker inside the test, for as long as there is work.

use std::time::Duration;

use engine::{Kinds, Worker, WorkerConfig};
use tokio_util::sync::CancellationToken;

use super::{Database, wait::until};

/// Runs every job of these kinds, and those that they enqueue, until each has ended for good.
pub async fn run_all(db: &Database, kinds: Kinds) {
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(db.pool().clone(), kinds, WorkerConfig::default()).run(stop.clone()));
    until("every job has ended", Duration::from_mins(1), async || {
        sqlx::query_scalar("select not exists (select from engine.job_state where state not in ('completed', 'cancelled', 'dead'))")
            .fetch_one(db.pool())
            .await
            .expect("the state of jobs can be read")
    })
    .await;
    stop.cancel();
    worker.await.expect("the worker does not panic").expect("its configuration is right");
}
