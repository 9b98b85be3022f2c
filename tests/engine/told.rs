//! What a job tells: its output, how far it is, its log, and that it has not ended yet.

use std::time::Duration;

use engine::{
    Client, Ending, Job, JobId, JobResult, Kinds, Outcome, Run, StoreError, WorkerConfig,
    store::{job, note, partition},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    hand::{Hand, count, done, ended, enqueue},
    jobs::{Running, of, outcomes, until_state},
};
use crate::support::{
    Database,
    kinds::{self, NoOp, Talk},
    run_all,
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
    let undecoded = ending.expect("it has ended").output::<u32>().expect_err("it is an object").to_string();
    assert!(undecoded.starts_with("the output does not decode: "), "{undecoded}");
    let missing = client.ending(JobId(i64::MAX)).await;
    assert!(matches!(missing, Err(StoreError::NoSuchJob(_))), "{missing:?}");
}

#[tokio::test]
async fn whoever_waits_for_a_job_for_as_long_as_there_is_time_gets_its_output_too() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let id = client.enqueue(&of(&NoOp { n: 7 })).await.expect("enqueued").id;
    run_all(&db, kinds::kinds()).await;
    let ending = client.wait_for_end(id, Duration::MAX).await.expect("it exists");
    assert_eq!(ending, Some(Ending::Completed(json!({ "n": 7 }))));
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

/// Says of what kind it is.
#[derive(Serialize, Deserialize)]
struct Named {}

impl Job for Named {
    const KIND: &'static str = "test.named";

    async fn run(&self, run: &mut Run) -> JobResult {
        Ok(Outcome::Done(json!(run.kind())))
    }
}

#[tokio::test]
async fn an_attempt_knows_its_kind() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let id = client.enqueue(&of(&Named {})).await.expect("enqueued").id;
    run_all(&db, Kinds::new().with::<Named>()).await;
    assert_eq!(client.ending(id).await.expect("it is known"), Some(Ending::Completed(json!(Named::KIND))));
}

/// Says two things at once, again and again.
#[derive(Serialize, Deserialize)]
struct Chorus {}

impl Job for Chorus {
    const KIND: &'static str = "test.chorus";

    async fn run(&self, run: &mut Run) -> JobResult {
        for done in 1..=20 {
            tokio::try_join!(run.log("one"), run.log("other\nand more"), run.progress(done, None, None))?;
        }
        Ok(Outcome::done())
    }
}

#[tokio::test]
async fn what_a_job_says_at_once_is_said_one_after_another() {
    let db = Database::new().await;
    let id = Client::new(db.pool().clone()).enqueue(&of(&Chorus {})).await.expect("enqueued").id;
    let worker = Running::with(db.pool(), Kinds::new().with::<Chorus>(), WorkerConfig::default());
    Client::new(db.pool().clone()).wait_for_end(id, Duration::from_mins(2)).await.expect("it exists").expect("it ends");
    worker.stop().await;
    assert_eq!(outcomes(db.pool(), id).await, ["completed"]);
    let shown = job::show(db.pool(), id).await.expect("it exists");
    let lines = |line: &str| shown.log.iter().filter(|logged| logged.line == line).count();
    assert_eq!((lines("one"), lines("other"), lines("and more"), shown.progress.map(|progress| progress.done)), (20, 20, 20, Some(20)));
}

#[tokio::test]
async fn what_was_said_goes_with_the_job() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 2).await;
    let goes = hand.take(1).await.remove(0);
    let said = "with p as (insert into engine.progress select id, 1, 1, null, null, engine.now() from engine.job)
        insert into engine.log_line select id, 1, 1, engine.now(), case id when $1 then 'goes' else 'stays' end from engine.job";
    sqlx::query(said).bind(goes.job_id).execute(db.pool()).await.expect("written");
    hand.complete(&[ended(&goes, done())]).await;
    assert_eq!(note::prune(&mut hand.connection, 10).await.expect("pruned"), 0, "it is there");
    assert_eq!(partition::retire(db.pool(), 10_000_000).await.expect("retired"), 1, "the other one lives");
    assert_eq!(note::prune(&mut hand.connection, 10).await.expect("pruned"), 2);
    assert_eq!(count(db.pool(), "select count(*) from engine.progress").await, 1);
    assert_eq!(count(db.pool(), "select count(*) from engine.log_line where line = 'stays'").await, 1);
}
