//! Where a key keeps its order, a workflow that waits keeps its turn.

use engine::{
    Client, JobId,
    store::{
        event,
        limit::Change,
        pause::{self, Scope},
    },
};
use serde_json::json;

use super::hand::{count, due_now};
use super::jobs::{Running, of, state_of, until_state};
use super::limits::limit;
use super::rates::set;
use super::workflows::{LIMIT, with_traces};
use crate::support::{
    Database,
    flows::{Act, Flow},
    ledger, wait,
};

fn step(name: &str) -> Act {
    Act::Step(name.into())
}

async fn start(db: &Database, acts: Vec<Act>) -> JobId {
    let job = of(&Flow { acts }).limit_key("one");
    Client::new(db.pool().clone()).enqueue(&job).await.expect("enqueued").id
}

async fn written(db: &Database) -> Vec<String> {
    sqlx::query_scalar("select name from test_trace order by n").fetch_all(db.pool()).await.expect("the trace can be read")
}

async fn until_ended(db: &Database, ids: &[JobId]) {
    let client = Client::new(db.pool().clone());
    for id in ids {
        client.wait_for_end(*id, LIMIT).await.expect("the job exists").expect("it ends in time");
    }
}

async fn emit(db: &Database) {
    let woken = event::emit(&mut db.pool().acquire().await.expect("a connection"), "go", "", &json!(1), None).await.expect("emitted").woken;
    assert_eq!(woken, 1);
}

/// Ends the sleep of a workflow.
async fn wake(db: &Database) {
    sqlx::query("update engine.step set until = engine.now() where until is not null").execute(db.pool()).await.expect("cut short");
    due_now(db.pool()).await;
}

#[tokio::test]
async fn a_workflow_that_sleeps_or_waits_is_overtaken_only_where_the_order_does_not_matter() {
    for in_order in [false, true] {
        for (waits, place) in [(Act::Sleep(3_600_000), "scheduled"), (Act::Wait("go".into(), String::new(), None), "parked")] {
            let db = with_traces().await;
            limit(db.pool(), "one", 1, in_order).await;
            let first = start(&db, vec![step("a"), waits, step("b")]).await;
            let second = start(&db, vec![step("c")]).await;
            let worker = Running::start(db.pool(), 2);
            until_state(db.pool(), first, place).await;
            if in_order {
                assert_eq!(state_of(db.pool(), second).await, "waiting");
            } else {
                until_ended(&db, &[second]).await;
            }
            if place == "parked" {
                emit(&db).await;
            } else {
                wake(&db).await;
            }
            until_ended(&db, &[first, second]).await;
            worker.stop().await;
            let expected = if in_order { ["a", "b", "c"] } else { ["a", "c", "b"] };
            assert_eq!(written(&db).await, expected, "in order: {in_order}, {place}");
            assert_eq!(count(db.pool(), "select count(*) from engine.slot").await, 0);
            ledger::check(db.pool()).await;
        }
    }
}

#[tokio::test]
async fn one_that_wakes_while_its_key_is_held_goes_first_when_it_is_let_go() {
    let db = with_traces().await;
    limit(db.pool(), "one", 1, true).await;
    // One of an older id is committed later; the lane is there already.
    let nothing = start(&db, Vec::new()).await;
    let mut late = db.pool().begin().await.expect("a transaction");
    let older = of(&Flow { acts: vec![step("older")] }).limit_key("one");
    let older = engine::enqueue_in(&mut late, &older).await.expect("enqueued").id;
    let first = start(&db, vec![step("a"), Act::Wait("go".into(), String::new(), None), step("b")]).await;
    let second = start(&db, vec![step("c")]).await;
    let worker = Running::start(db.pool(), 2);
    until_state(db.pool(), first, "parked").await;
    pause::begin(db.pool(), pause::Scope::Key, "one", pause::Window::default(), "ann", None).await.expect("held");
    emit(&db).await;
    assert_eq!(state_of(db.pool(), first).await, "waiting");
    assert_eq!(count(db.pool(), "select count(*) from engine.slot").await, 0);
    late.commit().await.expect("committed");
    pause::resume(db.pool(), pause::Scope::Key, "one", "ann").await.expect("let go");
    until_ended(&db, &[nothing, first, older, second]).await;
    worker.stop().await;
    assert_eq!(written(&db).await, ["a", "b", "older", "c"]);
}

#[tokio::test]
async fn one_that_waits_makes_way_when_its_key_keeps_its_order_no_more() {
    let db = with_traces().await;
    limit(db.pool(), "one", 1, true).await;
    let first = start(&db, vec![step("a"), Act::Wait("go".into(), String::new(), None), step("b")]).await;
    let second = start(&db, vec![step("c")]).await;
    let worker = Running::start(db.pool(), 2);
    until_state(db.pool(), first, "parked").await;
    assert_eq!(state_of(db.pool(), second).await, "waiting");
    set(db.pool(), Scope::Key, "one", Change { in_order: Some(false), ..Change::default() }).await;
    until_ended(&db, &[second]).await;
    emit(&db).await;
    until_ended(&db, &[first]).await;
    worker.stop().await;
    assert_eq!(written(&db).await, ["a", "c", "b"]);
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn a_workflow_makes_way_for_a_child_of_its_own_key_and_for_a_child_of_a_child() {
    let child = |key: &str, acts| Act::Keyful(key.into(), Box::new(Flow { acts }));
    for between in [child("one", vec![step("b")]), child("two", vec![child("one", vec![step("b")])])] {
        let db = with_traces().await;
        limit(db.pool(), "one", 1, true).await;
        let parent = start(&db, vec![step("a"), between, step("c")]).await;
        let worker = Running::start(db.pool(), 2);
        until_ended(&db, &[parent]).await;
        worker.stop().await;
        assert_eq!(written(&db).await, ["a", "b", "c"]);
        wait::until("no slot is left", LIMIT, || async { count(db.pool(), "select count(*) from engine.slot").await == 0 }).await;
    }
}
