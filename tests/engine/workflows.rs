//! Workflows: steps are done once, sleeps and waits hold no worker, and code that changed on the way is told so.

use std::time::Duration;

use engine::{Client, Ending, JobId};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::hand::count;
use super::jobs::{Running, of, state_of, until_state};
use crate::support::{
    Database,
    flows::{Act, Flow, make_trace_table, trace},
};

pub const LIMIT: Duration = Duration::from_mins(2);

pub async fn start(db: &Database, acts: Vec<Act>) -> JobId {
    Client::new(db.pool().clone()).enqueue(&of(&Flow { acts })).await.expect("enqueued").id
}

pub async fn output(db: &Database, id: JobId) -> Value {
    let ending = Client::new(db.pool().clone()).wait_for_end(id, LIMIT).await.expect("the job exists").expect("it ends in time");
    ending.output().expect("JSON").unwrap_or_else(|| panic!("{ending:?}"))
}

pub async fn with_traces() -> Database {
    let db = Database::new().await;
    make_trace_table(db.pool()).await;
    db
}

fn step(name: &str) -> Act {
    Act::Step(name.into())
}

#[tokio::test]
async fn a_step_that_is_done_is_not_done_again_and_returns_what_it_returned() {
    let db = with_traces().await;
    let id = start(&db, vec![step("one"), Act::Outside("two".into()), Act::Fail(2), Act::Value("three".into()), step("four")]).await;
    let worker = Running::start(db.pool(), 2);
    let key = format!("{id}-2");
    assert_eq!(output(&db, id).await, json!([1, key, null, 3, 3]));
    worker.stop().await;
    let done: Vec<(String, i32)> = vec![("one".into(), 1), (key, 1), ("four".into(), 3)];
    assert_eq!(trace(db.pool(), id).await, done);
}

#[tokio::test]
async fn what_was_done_outside_is_done_again_under_its_key_by_whoever_runs_the_letter_again() {
    let db = with_traces().await;
    let trap = async |sql| sqlx::query(AssertSqlSafe(format!("alter table engine.step {sql}"))).execute(db.pool()).await.expect("altered");
    trap("add constraint trap check (name <> 'charge')").await;
    for acts in [vec![Act::Outside("charge".into())], vec![step("one"), Act::Outside("charge".into())]] {
        let position = acts.len();
        let first = start(&db, acts).await;
        let worker = Running::start(db.pool(), 1);
        let mut last = first;
        for _ in 0..2 {
            until_state(db.pool(), last, "dead").await;
            last = again(&db, last).await;
        }
        until_state(db.pool(), last, "dead").await;
        trap("drop constraint trap").await;
        last = again(&db, last).await;
        until_state(db.pool(), last, "completed").await;
        worker.stop().await;
        let keys: Vec<String> = sqlx::query_scalar("select distinct name from test_trace where name like '%-%'")
            .fetch_all(db.pool())
            .await
            .expect("the trace can be read");
        assert_eq!(keys, [format!("{first}-{position}")]);
        sqlx::query("truncate test_trace").execute(db.pool()).await.expect("empty");
        trap("add constraint trap check (name <> 'charge') not valid").await;
    }
}

#[tokio::test]
async fn a_step_that_is_repeated_since_a_child_before_it_was_stopped_has_its_key_again() {
    let db = with_traces().await;
    let forever = Flow { acts: vec![Act::Wait("never".into(), String::new(), None)] };
    let id = start(&db, vec![Act::Leave(vec![forever], false), Act::Outside("charge".into()), Act::Die]).await;
    let worker = Running::start(db.pool(), 2);
    until_state(db.pool(), id, "dead").await;
    let fresh = again(&db, id).await;
    until_state(db.pool(), fresh, "dead").await;
    worker.stop().await;
    let keys: Vec<String> = sqlx::query_scalar("select name from test_trace").fetch_all(db.pool()).await.expect("the trace can be read");
    assert_eq!(keys, [format!("{id}-2"), format!("{id}-2")]);
}

/// Runs the dead letter of a job again.
pub async fn again(db: &Database, job: JobId) -> JobId {
    sqlx::query_scalar("select engine.requeue_letter(id, 'ann') from engine.dead_letter_queue where job_id = $1")
        .bind(job)
        .fetch_one(db.pool())
        .await
        .expect("requeued")
}

#[tokio::test]
async fn a_step_that_fails_leaves_nothing_behind() {
    let db = with_traces().await;
    sqlx::query("alter table test_trace add check (name <> 'refused')").execute(db.pool()).await.expect("a trap");
    let id = start(&db, vec![step("one"), step("refused")]).await;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "dead").await;
    worker.stop().await;
    assert_eq!(trace(db.pool(), id).await, [("one".to_string(), 1)]);
    assert_eq!(count(db.pool(), "select count(*) from engine.step").await, 1);
}

#[tokio::test]
async fn a_sleep_holds_no_worker_and_burns_no_attempt() {
    let db = with_traces().await;
    let ids = [start(&db, vec![step("before"), Act::Sleep(300), step("after")]).await, start(&db, vec![Act::Sleep(86_400_000)]).await];
    let worker = Running::start(db.pool(), 1);
    assert_eq!(output(&db, ids[0]).await, json!([1, null, 2]));
    assert_eq!(state_of(db.pool(), ids[1]).await, "scheduled");
    worker.stop().await;
    assert_eq!(trace(db.pool(), ids[0]).await.len(), 2);
    assert_eq!(count(db.pool(), "select count(*) from engine.attempt where outcome = 'waiting'").await, 2);
    let hours = count(db.pool(), "select round(extract(epoch from run_at - engine.now()) / 3600)::bigint from engine.scheduled").await;
    assert_eq!(hours, 24);
}

#[tokio::test]
async fn ten_thousand_steps_are_passed_over_by_the_next_attempt() {
    let db = with_traces().await;
    let id = start(&db, vec![Act::Steps(10_000), Act::Fail(1), step("last")]).await;
    let worker = Running::start(db.pool(), 1);
    let ending = Client::new(db.pool().clone()).wait_for_end(id, Duration::from_mins(4)).await.expect("the job exists");
    assert!(matches!(ending, Some(Ending::Completed(_))), "{ending:?}");
    worker.stop().await;
    assert_eq!(count(db.pool(), "select count(*) from test_trace").await, 10_001);
    assert_eq!(count(db.pool(), "select count(*) from engine.step").await, 10_001);
    assert_eq!(trace(db.pool(), id).await.last(), Some(&("last".to_string(), 2)));
}

/// What a workflow that has slept says when its code is another one when it wakes.
async fn changed(before: Vec<Act>, after: Vec<Act>) -> String {
    let db = with_traces().await;
    sqlx::query("update engine.retry_config set max_attempts = 1 where error_category = 'bug'").execute(db.pool()).await.expect("edited");
    let id = start(&db, before).await;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "scheduled").await;
    sqlx::query("update engine.job set args = $1")
        .bind(sqlx::types::Json(Flow { acts: after }))
        .execute(db.pool())
        .await
        .expect("the code is changed");
    sqlx::query("update engine.step set until = engine.now() where kind = 'sleep'").execute(db.pool()).await.expect("woken");
    sqlx::query("update engine.scheduled set run_at = engine.now()").execute(db.pool()).await.expect("woken");
    let ending = Client::new(db.pool().clone()).wait_for_end(id, LIMIT).await.expect("the job exists");
    worker.stop().await;
    match ending {
        Some(Ending::Dead { category: Some(category), error: Some(error) }) if category == "bug" => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn code_that_changed_on_the_way_is_told_what_was_expected_and_what_was_found() {
    let nap = || Act::Sleep(86_400_000);
    let renamed = changed(vec![step("one"), nap()], vec![step("uno"), nap()]).await;
    assert_eq!(
        renamed,
        "step 1 of this workflow is step `one` in its history and step `uno` in its code: the code changed while it was on its way"
    );
    let reordered = changed(vec![step("one"), nap()], vec![nap(), step("one")]).await;
    assert!(reordered.starts_with("step 1 of this workflow is step `one` in its history and sleep `sleep` in its code"), "{reordered}");
    let another_kind = changed(vec![Act::Value("one".into()), nap()], vec![step("one"), nap()]).await;
    assert!(another_kind.contains("is value `one` in its history and step `one` in its code"), "{another_kind}");
    let left_out = changed(vec![step("one"), step("two"), nap()], vec![step("one"), nap()]).await;
    assert!(left_out.starts_with("step 2 of this workflow is step `two` in its history and sleep `sleep` in its code"), "{left_out}");
    let shortened = changed(vec![step("one"), step("two"), nap()], vec![step("one")]).await;
    assert!(
        shortened.starts_with("the workflow's code ended after 1 steps, and its history goes on with step 2, step `two`"),
        "{shortened}"
    );
}

#[tokio::test]
async fn a_workflow_may_snooze_and_cancel_itself_before_what_it_has_done() {
    let db = with_traces().await;
    let snoozes = start(&db, vec![Act::Snooze(2), step("one"), Act::Fail(1), step("two")]).await;
    let gives_up = start(&db, vec![Act::GiveUp(2), step("one"), Act::Fail(1), step("two")]).await;
    let worker = Running::start(db.pool(), 2);
    output(&db, snoozes).await;
    until_state(db.pool(), gives_up, "cancelled").await;
    worker.stop().await;
    assert_eq!(trace(db.pool(), snoozes).await, [("one".to_string(), 1), ("two".to_string(), 3)]);
    assert_eq!(trace(db.pool(), gives_up).await, [("one".to_string(), 1)]);
}

#[tokio::test]
async fn the_retry_policy_counts_failures_since_the_workflow_last_got_on() {
    let db = with_traces().await;
    sqlx::query("update engine.retry_config set max_attempts = 2, backoff_seconds = '{1}' where error_category = 'network'")
        .execute(db.pool())
        .await
        .expect("edited");
    let on = start(&db, vec![Act::Fail(1), step("one"), Act::Fail(2), step("two"), Act::Fail(3)]).await;
    let stuck = start(&db, vec![step("one"), Act::Fail(2)]).await;
    let worker = Running::start(db.pool(), 2);
    output(&db, on).await;
    until_state(db.pool(), stuck, "dead").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_workflow_that_goes_on_although_it_has_to_wait_is_a_bug() {
    let db = with_traces().await;
    sqlx::query("update engine.retry_config set max_attempts = 1 where error_category = 'bug'").execute(db.pool()).await.expect("edited");
    let id = start(&db, vec![Act::Swallow("never".into())]).await;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "dead").await;
    worker.stop().await;
    let ending = Client::new(db.pool().clone()).ending(id).await.expect("the job exists");
    let Some(Ending::Dead { error: Some(error), .. }) = ending else { panic!("{ending:?}") };
    assert!(error.starts_with("the workflow went on although it had to wait"), "{error}");
}
