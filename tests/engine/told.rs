//! What a job tells: its output, how far it is, its log, and that it has not ended yet.

use std::time::Duration;

use engine::{Client, Ending, JobId, StoreError, store::job};
use serde_json::json;

use super::{
    hand::{count, enqueue},
    jobs::{Running, of, until_state},
};
use crate::support::{
    Database,
    kinds::{NoOp, Talk},
};

#[tokio::test]
async fn whoever_waits_for_a_job_gets_its_output_or_hears_that_it_goes_on() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let id = client.enqueue(&of(&NoOp { n: 7 })).await.expect("enqueued").id;
    assert_eq!(client.wait_for_end(id, Duration::from_millis(20)).await.expect("it exists"), None);
    let worker = Running::start(db.pool(), 1);
    let ending = client.wait_for_end(id, Duration::from_mins(2)).await.expect("it exists");
    assert_eq!(ending, Some(Ending::Completed(json!({ "n": 7 }))));
    worker.stop().await;
    let missing = client.ending(JobId(i64::MAX)).await;
    assert!(matches!(missing, Err(StoreError::NoSuchJob(_))), "{missing:?}");
}

#[tokio::test]
async fn a_job_says_how_far_it_is_and_keeps_the_last_lines_of_its_log() {
    let db = Database::new().await;
    let id = Client::new(db.pool().clone()).enqueue(&of(&Talk { lines: 130 })).await.expect("enqueued").id;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "completed").await;
    worker.stop().await;
    let shown = job::show(db.pool(), id).await.expect("it exists");
    let progress = shown.progress.expect("it said so");
    assert_eq!((progress.attempt, progress.done, progress.total, progress.note.as_deref()), (1, 130, Some(131), Some("nearly there")));
    let lines: Vec<&str> = shown.log.iter().map(|line| line.line.as_str()).collect();
    assert_eq!((lines.len(), lines[0], lines[99]), (100, "line 31", "line 130"));
}

#[tokio::test]
async fn what_was_said_goes_with_the_job() {
    let db = Database::new().await;
    let id = enqueue(db.pool(), 1).await[0];
    let said =
        "with p as (insert into engine.progress values ($1, 1, 1, null, null, engine.now()), ($1 + 1, 1, 1, null, null, engine.now()))
        insert into engine.log_line values ($1, 1, 1, engine.now(), 'stays'), ($1 + 1, 1, 1, engine.now(), 'goes')";
    sqlx::query(said).bind(id).execute(db.pool()).await.expect("written");
    let mut connection = db.pool().acquire().await.expect("a connection");
    assert_eq!(engine::store::note::prune(&mut connection, 10).await.expect("pruned"), 2);
    assert_eq!(count(db.pool(), "select count(*) from engine.progress").await, 1);
    assert_eq!(count(db.pool(), "select count(*) from engine.log_line where line = 'stays'").await, 1);
}
