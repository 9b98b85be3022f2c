//! What a hostile reader found at the edges: arguments that swell, duties that fail, snoozes of a week, late cancels.

use std::time::Duration;

use engine::{
    Category, Client, Failure, Job, JobResult, Kinds, NewJob, Outcome, Run, StoreError, Worker, WorkerConfig,
    store::{
        attempt::Verdict,
        cancel_request::{self, Cancelled},
        claim,
    },
};
use tokio_util::sync::CancellationToken;

use super::hand::{Hand, count, done, ended, enqueue, failed};
use super::jobs::{Running, of, until_state};
use crate::support::Database;

#[tokio::test]
async fn arguments_that_would_choke_every_claim_are_refused_at_the_producer() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let large = serde_json::value::to_raw_value(&"x".repeat(2 << 20)).expect("a string is JSON");
    let refused = client.enqueue(&NewJob::raw("test.no_op", large.clone())).await;
    assert!(matches!(refused, Err(StoreError::ArgumentsTooLarge)), "{refused:?}");
    let refused = client.enqueue_many(&[NewJob::raw("test.no_op", large)]).await;
    assert!(matches!(refused, Err(StoreError::ArgumentsTooLarge)), "{refused:?}");
    // Few bytes as stored, a gigabyte when written out.
    let swelling =
        sqlx::query("select * from engine.enqueue('test.no_op', (select jsonb_agg('1e131000'::numeric) from generate_series(1, 9000)))");
    assert!(swelling.execute(db.pool()).await.is_err());
    assert_eq!(count(db.pool(), "select count(*) from engine.job").await, 0);
}

#[tokio::test]
async fn a_duty_that_fails_for_ever_stops_no_rescue() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let id = enqueue(db.pool(), 1).await[0];
    hand.take(1).await;
    hand.die().await;
    sqlx::query("drop function engine.extend_partitions").execute(db.pool()).await.expect("damaged");
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "completed").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_long_snooze_lasts_as_long_as_was_asked() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 1).await;
    let job = hand.take(1).await.remove(0);
    hand.settle(&[ended(&job, Verdict::Snoozed(7 * 86_400_000))]).await;
    assert_eq!(count(db.pool(), "select round(extract(epoch from run_at - engine.now()) / 3600)::bigint from engine.scheduled").await, 168);
}

#[tokio::test]
async fn a_completed_job_leaves_no_cancel_request_behind() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let id = enqueue(db.pool(), 1).await[0];
    let job = hand.take(1).await.remove(0);
    assert_eq!(cancel_request::cancel(db.pool(), id, "ann", None).await.expect("asked"), Cancelled::Requested);
    assert_eq!(cancel_request::cancel(db.pool(), id, "bob", None).await.expect("asked again"), Cancelled::Requested);
    assert!(hand.complete(&[ended(&job, done())]).await.is_empty());
    assert_eq!(count(db.pool(), "select count(*) from engine.cancel_request").await, 0);
}

#[tokio::test]
async fn an_output_of_ten_megabytes_is_left_out_and_said_so() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 3).await;
    let jobs = hand.take(3).await;
    let large = serde_json::Value::String("x".repeat(10 << 20));
    let first = &jobs[0];
    let completing =
        engine::store::attempt::complete_one(&mut hand.connection, hand.id, first.claim_id, (first.job_id, first.attempt), 0, &large);
    assert!(!completing.await.expect("completed"), "in time");
    assert!(hand.complete(&[ended(&jobs[1], Verdict::Completed(serde_json::json!({ "kept": true })))]).await.is_empty());
    let words = "y".repeat(10 << 20);
    hand.settle(&[ended(&jobs[2], Verdict::Failed { category: engine::Category::Validation, message: words, retry_after_ms: None })]).await;
    let outputs: Vec<String> = sqlx::query_scalar("select output::text from engine.attempt where outcome = 'completed' order by job_id")
        .fetch_all(db.pool())
        .await
        .expect("outputs");
    assert_eq!(outputs[0], r#"{"cut": "the output had 10485762 bytes, 1048576 are kept at most"}"#);
    assert_eq!(outputs[1], r#"{"kept": true}"#);
    assert_eq!(count(db.pool(), "select max(octet_length(error))::bigint from engine.attempt").await, 16 * 1024);
    assert_eq!(count(db.pool(), "select max(octet_length(error_message))::bigint from engine.dead_letter_queue").await, 16 * 1024);
}

/// A kind with a name that is none.
#[derive(serde::Serialize, serde::Deserialize)]
struct Nameless {}

impl Job for Nameless {
    const KIND: &'static str = " test.nameless";

    async fn run(&self, _: &mut Run) -> JobResult {
        Ok(Outcome::done())
    }
}

#[tokio::test]
async fn a_worker_of_a_kind_whose_name_is_none_ends_at_once_and_says_so() {
    let db = Database::new().await;
    let worker = Worker::new(db.pool().clone(), Kinds::new().with::<Nameless>(), WorkerConfig::default());
    let ended = tokio::time::timeout(Duration::from_mins(1), worker.run(CancellationToken::new())).await.expect("it ends by itself");
    let rule = "a name has 1 to 500 bytes, no control character, and no blank at either end";
    let words = format!("the database does not take this worker: kind \" test.nameless\": {rule}");
    assert_eq!(ended.expect_err("it cannot begin").to_string(), words);
    assert_eq!(count(db.pool(), "select count(*) from engine.worker").await, 0);
}

/// Reads whatever columns a table has.
#[derive(serde::Serialize, serde::Deserialize)]
struct Look {}

impl Job for Look {
    const KIND: &'static str = "test.look";

    async fn run(&self, run: &mut Run) -> JobResult {
        sqlx::query("select * from public.grows").fetch_all(run.pool()).await?;
        Ok(Outcome::done())
    }
}

#[tokio::test]
async fn handlers_go_on_after_a_migration_has_outdated_what_their_connections_had_prepared() {
    let db = Database::new().await;
    sqlx::query("create table public.grows (a integer)").execute(db.pool()).await.expect("made");
    let config = WorkerConfig { concurrency: 1, ..WorkerConfig::default() };
    let worker = Running::with(db.pool(), Kinds::new().with::<Look>(), config);
    let client = Client::new(db.pool().clone());
    for alter in ["add b integer", "add c integer", "drop b"] {
        let before = client.enqueue(&of(&Look {})).await.expect("enqueued").id;
        until_state(db.pool(), before, "completed").await;
        sqlx::query(sqlx::AssertSqlSafe(format!("alter table public.grows {alter}"))).execute(db.pool()).await.expect("altered");
        let after = client.enqueue(&of(&Look {})).await.expect("enqueued").id;
        until_state(db.pool(), after, "completed").await;
        let tried: Vec<Option<String>> = sqlx::query_scalar("select category from engine.attempt where job_id = $1 order by attempt")
            .bind(after)
            .fetch_all(db.pool())
            .await
            .expect("its attempts");
        assert!((2..=5).contains(&tried.len()) && tried[0].as_deref() == Some("conflict"), "{alter}: {tried:?}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_plan_that_a_migration_outdated_is_a_conflict_and_a_statement_that_postgres_has_not_is_a_bug() {
    let db = Database::new().await;
    let mut connection = db.pool().acquire().await.expect("a connection");
    sqlx::query("create table public.grows (a integer)").execute(&mut *connection).await.expect("made");
    let mut look = async || sqlx::query("select * from public.grows").fetch_all(&mut *connection).await;
    look().await.expect("an empty table");
    sqlx::query("alter table public.grows add b integer").execute(db.pool()).await.expect("altered");
    let outdated = look().await.expect_err("its plan is of before");
    assert_eq!(Failure::from(outdated).category, Category::Conflict);
    sqlx::query("select * from public.grows").fetch_all(db.pool()).await.expect("another connection plans anew");
    let wrong = sqlx::query("select count(*) from public.grows for update").fetch_all(db.pool()).await.expect_err("there is no such thing");
    assert_eq!(wrong.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(), Some("0A000"));
    assert_eq!(Failure::from(wrong).category, Category::Bug);
}

#[tokio::test]
async fn what_fails_on_a_worker_that_was_declared_dead_is_lost_and_no_failure_of_the_job() {
    let db = Database::new().await;
    enqueue(db.pool(), 3).await;
    let mut hand = Hand::new(db.pool()).await;
    let jobs = hand.take(3).await;
    hand.die().await;
    let verdicts = [failed(Category::Conflict), done(), Verdict::Snoozed(1)];
    let ends: Vec<_> = jobs.iter().zip(verdicts).map(|(job, verdict)| ended(job, verdict)).collect();
    assert_eq!(hand.settle(&[ends[0].clone(), ends[2].clone()]).await, [(jobs[0].job_id, 1)], "it is told that this counts for nothing");
    hand.complete(&[ends[1].clone()]).await;
    assert_eq!(count(db.pool(), "select count(*) from engine.attempt where outcome = 'failed'").await, 0);
    assert_eq!(count(db.pool(), "select count(*) from engine.claim").await, 1, "a rescue finds it");
    let orphans = claim::orphans(&mut hand.connection, 0, 10).await.expect("orphans");
    for orphan in orphans {
        claim::rescue(&mut hand.connection, orphan).await.expect("rescued");
    }
    let outcomes: Vec<String> =
        sqlx::query_scalar("select outcome from engine.attempt order by job_id").fetch_all(db.pool()).await.expect("the attempts");
    assert_eq!(outcomes, ["lost", "completed", "snoozed"]);
    assert_eq!(count(db.pool(), "select count(*) from engine.claim").await, 0);
}
