//! Children of workflows: made once, joined, cancelled with their parent or left; and batches, which are made of them.

use std::time::Duration;

use chrono::Utc;
use engine::{
    Client, JobId, NewJob, StoreError,
    store::{cancel_request, workflow},
};
use serde_json::json;

use super::hand::count;
use super::jobs::{Running, of, state_of, until_state};
use super::workflows::{LIMIT, again, output, start, with_traces};
use crate::support::{
    Database,
    flows::{Act, Flow},
    kinds::{Fail, NoOp},
    ledger, wait,
};

fn flow(acts: Vec<Act>) -> Flow {
    Flow { acts }
}

fn waiting() -> Flow {
    flow(vec![Act::Wait("never".into(), String::new(), None)])
}

#[tokio::test]
async fn a_parent_reads_how_each_child_ended_and_makes_each_once() {
    let db = with_traces().await;
    let children = vec![flow(vec![Act::Step("one".into())]), flow(vec![Act::Die]), flow(vec![Act::Sleep(50)])];
    let id = start(&db, vec![Act::Children(children), Act::Fail(3), Act::Step("after".into())]).await;
    let worker = Running::start(db.pool(), 2);
    let returned = output(&db, id).await;
    assert_eq!(
        returned[0],
        json!([
            { "completed": [1] },
            { "dead": { "category": "validation", "error": "died on purpose" } },
            { "completed": [null] }
        ])
    );
    worker.stop().await;
    assert_eq!(count(db.pool(), "select count(*) from engine.job where parent_id is not null").await, 3);
    assert_eq!(count(db.pool(), "select count(*) from engine.child").await, 0);
    assert_eq!(count(db.pool(), "select count(*) from engine.child_end").await, 3);
}

#[tokio::test]
async fn ten_thousand_children_are_made_in_one_act_and_joined() {
    let db = with_traces().await;
    let id = start(&db, vec![Act::Crowd(10_000)]).await;
    let worker = Running::start(db.pool(), 16);
    let ending = Client::new(db.pool().clone()).wait_for_end(id, Duration::from_mins(2)).await.expect("the job exists").expect("in time");
    let counted: serde_json::Value = ending.output().expect("JSON").expect("completed");
    assert_eq!(counted, json!([{ "completed": 10_000, "cancelled": 0, "dead": 0 }]));
    worker.stop().await;
    assert_eq!(count(db.pool(), "select count(*) from engine.attempt where outcome = 'waiting'").await, 1, "woken once");
}

#[tokio::test]
async fn a_cancelled_workflow_takes_its_children_along_but_for_those_that_stay() {
    let db = with_traces().await;
    let scheduled = flow(vec![Act::Sleep(86_400_000)]);
    let grandparent = flow(vec![Act::Children(vec![waiting()])]);
    let id = start(
        &db,
        vec![Act::Leave(vec![waiting()], true), Act::Leave(vec![scheduled], false), Act::Children(vec![waiting(), grandparent])],
    )
    .await;
    let worker = Running::start(db.pool(), 2);
    let standing = "select count(*) from engine.job_state where state in ('parked', 'scheduled')";
    wait::until("all six wait", LIMIT, || async { count(db.pool(), standing).await == 6 }).await;
    cancel_request::cancel(db.pool(), id, "ann", None).await.expect("asked");
    wait::until("five are cancelled", LIMIT, || async {
        count(db.pool(), "select count(*) from engine.job_state where state = 'cancelled'").await == 5
    })
    .await;
    wait::until("nothing is left to do", LIMIT, || async { count(db.pool(), "select count(*) from engine.aftermath").await == 0 }).await;
    assert_eq!(count(db.pool(), standing).await, 1, "the one that stays");
    worker.stop().await;
}

#[tokio::test]
async fn a_workflow_that_dies_takes_its_children_along() {
    let db = with_traces().await;
    let id = start(&db, vec![Act::Leave(vec![waiting()], false), Act::Die]).await;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "dead").await;
    wait::until("its child is cancelled", LIMIT, || async {
        count(db.pool(), "select count(*) from engine.job_state where state = 'cancelled'").await == 1
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_child_with_a_key_of_its_own_is_refused() {
    let db = with_traces().await;
    let refused = Client::new(db.pool().clone())
        .enqueue_batch(&[of(&NoOp { n: 1 }).idempotency_key("a", "b")], &of(&Flow { acts: Vec::new() }))
        .await;
    assert!(matches!(refused, Err(StoreError::KeyedInBulk(0))), "{refused:?}");
    let callback = || of(&NoOp { n: 7 });
    for (asks, more) in [
        (callback().idempotency_key("a", "b"), "an idempotency key"),
        (callback().unique_key("k"), "a unique key"),
        (callback().run_at(Utc::now()), "a time"),
        (callback().delay(Duration::from_secs(1)), "a time"),
        (callback().deadline(Utc::now()), "a deadline"),
    ] {
        let refused = Client::new(db.pool().clone()).enqueue_batch(&[of(&NoOp { n: 1 })], &asks).await;
        assert!(matches!(refused, Err(StoreError::NotForCallback(why)) if why == more), "{refused:?}");
    }
    assert_eq!(count(db.pool(), "select count(*) from engine.job").await, 0);
}

async fn batch(db: &Database, jobs: &[NewJob]) -> (engine::Batched, JobId) {
    let callback = of(&NoOp { n: 7 }).limit_key("calls").max_attempts(3);
    let batched = Client::new(db.pool().clone()).enqueue_batch(jobs, &callback).await.expect("enqueued");
    let called = output(db, batched.id).await["callback"].as_str().expect("a job").parse().expect("an id");
    (batched, called)
}

#[tokio::test]
async fn a_batch_calls_back_once_when_all_its_jobs_have_ended_and_counts_them() {
    let db = with_traces().await;
    let worker = Running::start(db.pool(), 4);
    let mut jobs: Vec<NewJob> = (0..50).map(|n| of(&NoOp { n })).collect();
    jobs.push(of(&Fail { category: "validation".into(), times: 9 }));
    jobs.push(of(&Fail { category: "network".into(), times: 9 }).max_attempts(1));
    let (batched, called) = batch(&db, &jobs).await;
    assert_eq!(batched.jobs.iter().flatten().count(), 52);
    until_state(db.pool(), called, "completed").await;
    let args: serde_json::Value =
        sqlx::query_scalar("select args from engine.job where id = $1").bind(called).fetch_one(db.pool()).await.expect("the job");
    let id = batched.id.to_string();
    assert_eq!(args, json!({ "n": 7, "batch": { "id": id, "completed": 50, "cancelled": 0, "dead": 2 } }));
    let (_, of_none) = batch(&db, &[]).await;
    until_state(db.pool(), of_none, "completed").await;
    worker.stop().await;
    assert_eq!(
        count(db.pool(), "select count(*) from engine.job where args ? 'batch' and limit_key = 'calls' and max_attempts = 3").await,
        2
    );
}

#[tokio::test]
async fn a_cancelled_batch_cancels_its_jobs_and_does_not_call_back() {
    let db = with_traces().await;
    let sleepers: Vec<NewJob> = (0..3).map(|_| of(&flow(vec![Act::Sleep(86_400_000)]))).collect();
    let batched = Client::new(db.pool().clone()).enqueue_batch(&sleepers, &of(&NoOp { n: 1 })).await.expect("enqueued");
    let worker = Running::start(db.pool(), 2);
    until_state(db.pool(), batched.id, "parked").await;
    cancel_request::cancel(db.pool(), batched.id, "ann", None).await.expect("asked");
    for id in batched.jobs.into_iter().flatten() {
        until_state(db.pool(), id, "cancelled").await;
    }
    worker.stop().await;
    assert_eq!(state_of(db.pool(), batched.id).await, "cancelled");
    assert_eq!(count(db.pool(), "select count(*) from engine.job").await, 4);
}

#[tokio::test]
async fn a_batch_whose_jobs_were_stopped_does_not_call_back_when_it_is_run_again() {
    let db = with_traces().await;
    let sleepers: Vec<NewJob> = (0..3).map(|_| of(&flow(vec![Act::Sleep(86_400_000)]))).collect();
    let batched = Client::new(db.pool().clone()).enqueue_batch(&sleepers, &of(&NoOp { n: 1 })).await.expect("enqueued");
    let worker = Running::start(db.pool(), 2);
    until_state(db.pool(), batched.id, "parked").await;
    cancel_request::cancel(db.pool(), batched.id, "ann", None).await.expect("asked");
    wait::until("its jobs are stopped", LIMIT, || async { count(db.pool(), "select count(*) from engine.child").await == 0 }).await;
    let from_first = workflow::restart(db.pool(), batched.id, 1, "ann").await.expect("restarted").job_id;
    let from_second = workflow::restart(db.pool(), batched.id, 2, "ann").await.expect("restarted").job_id;
    until_state(db.pool(), from_second, "dead").await;
    let requeued = again(&db, from_second).await;
    for id in [from_first, from_second, requeued] {
        until_state(db.pool(), id, "dead").await;
        let why: (String, String) =
            sqlx::query_as("select category, error from engine.job_state where id = $1").bind(id).fetch_one(db.pool()).await.expect("why");
        assert!(why.0 == "validation" && why.1.contains("the jobs of this batch were stopped"), "{why:?}");
    }
    worker.stop().await;
    assert_eq!(count(db.pool(), "select count(*) from engine.job where args ? 'batch'").await, 0, "nothing was called back");
}

#[tokio::test]
async fn a_batch_of_a_hundred_thousand_jobs_is_enqueued() {
    let db = Database::new().await;
    // As in a house that has been open for a while: their ids have seven digits.
    sqlx::query("select setval('engine.position', 5000000)").execute(db.pool()).await.expect("set");
    let jobs: Vec<NewJob> = (0..100_000).map(|n| of(&NoOp { n })).collect();
    let batched = Client::new(db.pool().clone()).enqueue_batch(&jobs, &of(&NoOp { n: -1 })).await.expect("enqueued");
    assert_eq!(batched.jobs.iter().flatten().count(), 100_000);
    assert_eq!(count(db.pool(), "select count(*) from engine.child").await, 100_000);
}

#[tokio::test]
async fn a_workflow_goes_on_with_the_first_child_that_ends_while_others_run() {
    let db = with_traces().await;
    let waits = |key: &str| flow(vec![Act::Wait("go".into(), key.into(), None)]);
    let dies = flow(vec![Act::Die]);
    let id = start(&db, vec![Act::Race(vec![waits("slow"), waits("quick"), dies])]).await;
    let worker = Running::start(db.pool(), 4);
    let client = Client::new(db.pool().clone());
    let waiting = "select count(*) from engine.parked where waits_for = 'child' and cardinality(children) = 2";
    wait::until("it has seen one die and waits for two", LIMIT, || async { count(db.pool(), waiting).await == 1 }).await;
    for (key, left) in [("quick", 1), ("slow", 0)] {
        client.emit("go", key, &key, None).await.expect("emitted");
        wait::until("that child ended", LIMIT, || async { count(db.pool(), "select count(*) from engine.child").await == left }).await;
    }
    let output = output(&db, id).await;
    worker.stop().await;
    let ended = output[0].as_array().expect("a list");
    assert_eq!(ended.iter().map(|one| one[0].as_i64()).collect::<Vec<_>>(), [Some(2), Some(1), Some(0)]);
    assert!(ended[0][1].get("dead").is_some() && ended[1][1]["completed"] == json!(["quick"]), "{ended:?}");
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn a_workflow_takes_whatever_comes_first_of_a_child_an_event_and_a_time() {
    let db = with_traces().await;
    let child = || Box::new(flow(vec![Act::Wait("go".into(), "child".into(), None)]));
    let of_event = start(&db, vec![Act::First(child(), Some("k".into()), 3_600_000)]).await;
    let of_time = start(&db, vec![Act::First(child(), None, 1)]).await;
    let worker = Running::start(db.pool(), 4);
    let client = Client::new(db.pool().clone());
    for n in 0..3 {
        client.emit("first", "k", &n, None).await.expect("emitted");
        let taken = "select count(*) from engine.step where name = 'first' and event_id is not null";
        wait::until("it took the event", LIMIT, || async { count(db.pool(), taken).await == n + 1 }).await;
    }
    let late = "select count(*) from engine.step where name = 'first' and key is null and kind = 'wait' and ended_at is not null";
    wait::until("the other one was late twice", LIMIT, || async { count(db.pool(), late).await >= 2 }).await;
    client.emit("go", "child", &"end", None).await.expect("emitted");
    assert_eq!(output(&db, of_event).await[0], json!([0, 1, 2, "child"]));
    let of_time = output(&db, of_time).await;
    worker.stop().await;
    let came = of_time[0].as_array().expect("a list");
    assert_eq!(came.last(), Some(&json!("child")));
    assert!(came.len() > 2 && came[..came.len() - 1].iter().all(|one| one == "late"), "{came:?}");
    assert_eq!(count(db.pool(), "select count(*) from engine.event_wait").await, 0);
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn a_child_whose_unique_key_a_live_job_has_is_not_made_and_not_waited_for() {
    let db = with_traces().await;
    let client = Client::new(db.pool().clone());
    let held = client.enqueue(&of(&waiting()).unique_key("child 1")).await.expect("enqueued");
    let id = start(&db, vec![Act::Keyed(3)]).await;
    let worker = Running::start(db.pool(), 2);
    assert_eq!(output(&db, id).await[0], json!({ "completed": 2, "cancelled": 0, "dead": 0 }), "child 1 is another's");
    worker.stop().await;
    assert_eq!(state_of(db.pool(), held.id).await, "parked", "and goes on");
}
