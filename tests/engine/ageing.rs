//! A job of the lowest priority is not starved by a stream of the most urgent ones.

use std::time::{Duration, Instant};

use engine::{Client, NewJob, WorkerConfig};

use super::{
    hand::count,
    jobs::{Running, of, state_of, until_state},
};
use crate::support::{
    Database, kinds,
    kinds::{NoOp, Sleep},
    wait,
};

#[tokio::test]
async fn a_job_of_priority_nine_starts_within_ten_steps_of_ageing_behind_a_stream_of_priority_zero() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let stream: Vec<NewJob> = (0..200).map(|_| of(&Sleep { ms: 250 }).priority(0)).collect();
    client.enqueue_many(&stream).await.expect("enqueued");
    let last = client.enqueue(&of(&NoOp { n: 9 }).priority(9)).await.expect("enqueued").id;
    let config = |ageing| WorkerConfig { concurrency: 1, ageing, ..WorkerConfig::default() };
    let urgent = "select count(*) from engine.attempt where outcome = 'completed'";

    let worker = Running::with(db.pool(), kinds::kinds(), config(Duration::ZERO));
    wait::until("ten urgent jobs have run", Duration::from_secs(30), || async { count(db.pool(), urgent).await >= 10 }).await;
    worker.stop().await;
    assert_eq!(state_of(db.pool(), last).await, "ready", "without ageing it waits for all of them");

    let step = Duration::from_millis(200);
    let begun = Instant::now();
    let worker = Running::with(db.pool(), kinds::kinds(), config(step));
    until_state(db.pool(), last, "completed").await;
    // Ten steps, and the time for what the worker held before that claim.
    assert!(begun.elapsed() < step * 10 + Duration::from_secs(3), "started after {:?}", begun.elapsed());
    worker.stop().await;
    assert!(count(db.pool(), "select count(*) from engine.ready").await > 0, "the stream had not ended");
}
