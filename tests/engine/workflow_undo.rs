//! Compensation in reverse order, and code that changes by patches.

use engine::{Client, Ending, Job, JobId, JobResult, Kinds, Outcome, Run, store::cancel_request};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::hand::count;
use super::jobs::{Running, of, until_state};
use super::workflows::{LIMIT, again, output, start, with_traces};
use crate::support::{
    Database,
    flows::{Act, Flow},
    kinds::NoOp,
    run_all, wait,
};

async fn written(db: &Database) -> Vec<String> {
    sqlx::query_scalar("select name from test_trace order by n").fetch_all(db.pool()).await.expect("the trace can be read")
}

async fn until_undone(db: &Database, id: JobId) {
    wait::until("it is undone", LIMIT, || async {
        let ended: Option<i64> = sqlx::query_scalar(
            "select count(*) from engine.job_state where kind = 'engine.unwind' and parent_id = $1 and state in ('completed', 'dead')",
        )
        .bind(id)
        .fetch_one(db.pool())
        .await
        .expect("jobs can be counted");
        ended == Some(1)
    })
    .await;
}

#[tokio::test]
async fn a_workflow_that_dies_is_undone_in_reverse_order() {
    let db = with_traces().await;
    let step = |name: &str| Act::Step(name.into());
    let acts = vec![
        Act::Undo("undo a".into()),
        step("a"),
        Act::Undoable("b".into()),
        Act::Undoable("c".into()),
        Act::Fail(1),
        Act::Die,
        Act::Undoable("d".into()),
    ];
    let id = start(&db, acts).await;
    let worker = Running::start(db.pool(), 4);
    until_state(db.pool(), id, "dead").await;
    until_undone(&db, id).await;
    worker.stop().await;
    assert_eq!(written(&db).await, ["a", "undo c", "undo b", "undo a"]);
    let limited = "select count(*) from engine.compensation c join engine.job j on j.id = c.undone_by where j.limit_key = 'undo'";
    assert_eq!(count(db.pool(), limited).await, 3);
}

#[tokio::test]
async fn a_cancelled_workflow_is_undone_after_its_children_have_stopped() {
    let db = with_traces().await;
    let child = Flow { acts: vec![Act::Wait("never".into(), String::new(), None)] };
    let id = start(&db, vec![Act::Undo("undo".into()), Act::Children(vec![child])]).await;
    let worker = Running::start(db.pool(), 2);
    wait::until("both wait", LIMIT, || async { count(db.pool(), "select count(*) from engine.parked").await == 2 }).await;
    cancel_request::cancel(db.pool(), id, "ann", None).await.expect("asked");
    until_undone(&db, id).await;
    worker.stop().await;
    assert_eq!(written(&db).await, ["undo"]);
    let stopped_after = "select count(*) from engine.attempt
         where outcome = 'cancelled' and finished_at > (select created_at from engine.job_state where kind = 'engine.unwind')";
    assert_eq!(count(db.pool(), stopped_after).await, 0);
}

#[tokio::test]
async fn a_workflow_that_completes_is_not_undone() {
    let db = with_traces().await;
    let id = start(&db, vec![Act::Undo("undo".into()), Act::Step("a".into())]).await;
    let worker = Running::start(db.pool(), 1);
    output(&db, id).await;
    worker.stop().await;
    assert_eq!(count(db.pool(), "select count(*) from engine.aftermath").await, 0);
    assert_eq!(written(&db).await, ["a"]);
}

/// What workflow returns that slept before and runs other code when it wakes.
async fn woken_with(before: Vec<Act>, after: Vec<Act>) -> serde_json::Value {
    let db = with_traces().await;
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
    let returned = output(&db, id).await;
    worker.stop().await;
    assert!(Client::new(db.pool().clone()).ending(id).await.expect("the job exists").is_some());
    returned
}

#[tokio::test]
async fn a_patch_sends_workflows_the_way_that_they_began() {
    let (nap, step) = (|| Act::Sleep(86_400_000), |name: &str| Act::Step(name.into()));
    let patch = || Act::Patch("new".into());
    // Gone past before the patch was there, ahead of it, and begun with it.
    assert_eq!(woken_with(vec![step("a"), nap()], vec![patch(), step("a"), nap()]).await, json!([false, 1, null]));
    assert_eq!(woken_with(vec![step("a"), nap()], vec![step("a"), nap(), patch()]).await, json!([1, null, true]));
    assert_eq!(woken_with(vec![patch(), nap()], vec![patch(), nap()]).await, json!([true, null]));
    // A patch that was taken out when nobody of the old way was left.
    assert_eq!(woken_with(vec![patch(), step("a"), nap()], vec![step("a"), nap()]).await, json!([1, null]));
}

#[tokio::test]
async fn what_undoes_a_workflow_may_be_larger_than_a_step_keeps() {
    let db = with_traces().await;
    let mut acts: Vec<Act> = ["a", "b", "c"].map(|name| Act::UndoLarge(name.into(), 40_000)).into();
    acts.push(Act::Die);
    let id = start(&db, acts).await;
    let worker = Running::start(db.pool(), 2);
    until_state(db.pool(), id, "dead").await;
    until_undone(&db, id).await;
    worker.stop().await;
    assert_eq!(written(&db).await, ["c", "b", "a"]);
    assert!(count(db.pool(), "select sum(length(args::text)) from engine.compensation").await > 1 << 20);
}

#[tokio::test]
async fn a_letter_of_what_is_undone_asks_outside_under_a_new_key() {
    let db = with_traces().await;
    let id = start(&db, vec![Act::Undo("undo".into()), Act::Fail(1), Act::Outside("charge".into())]).await;
    // It dies at the charge, of which nobody knows whether it was made.
    sqlx::query("alter table engine.step add constraint trap check (name <> 'charge')").execute(db.pool()).await.expect("a trap");
    let worker = Running::start(db.pool(), 2);
    until_state(db.pool(), id, "dead").await;
    until_undone(&db, id).await;
    sqlx::query("alter table engine.step drop constraint trap").execute(db.pool()).await.expect("mended");
    worker.stop().await;
    let fresh = again(&db, id).await;
    let resolution: String = sqlx::query_scalar("select resolution from engine.dead_letter_queue where topic = 'test.flow'")
        .fetch_one(db.pool())
        .await
        .expect("a letter");
    assert_eq!(resolution, "requeued from the start");
    // As before 0246, which letters of then still say.
    sqlx::query("update engine.dead_letter_queue set resolution = 'requeued'").execute(db.pool()).await.expect("a letter of before");
    let worker = Running::start(db.pool(), 2);
    output(&db, fresh).await;
    worker.stop().await;
    let keys: Vec<String> = sqlx::query_scalar("select distinct name from test_trace where name like '%-2' order by 1")
        .fetch_all(db.pool())
        .await
        .expect("the trace can be read");
    assert_eq!(keys.len(), 2, "{keys:?}");
}

/// Notes what could never be enqueued.
#[derive(Serialize, Deserialize)]
struct Careless {}

impl Job for Careless {
    const KIND: &'static str = "test.careless";

    async fn run(&self, run: &mut Run) -> JobResult {
        run.compensate_with("undo", &of(&NoOp { n: 1 }).priority(10)).await?;
        Ok(Outcome::done())
    }
}

#[tokio::test]
async fn an_undoing_that_no_queue_takes_is_refused_when_it_is_noted() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let id = client.enqueue(&of(&Careless {}).max_attempts(1)).await.expect("enqueued").id;
    run_all(&db, Kinds::new().with::<Careless>()).await;
    let Some(Ending::Dead { category, error }) = client.ending(id).await.expect("it is known") else { panic!("it was taken") };
    assert_eq!(category.as_deref(), Some("validation"));
    assert!(error.is_some_and(|error| error.ends_with("its priority is a number from 0, which runs first, to 9")));
}
