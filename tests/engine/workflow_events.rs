//! Events: one that comes first, late, twice or in vain; and who is woken.

use std::time::Duration;

use engine::{
    Client, JobId, StoreError, emit_in,
    store::cancel_request::{self, Cancelled},
};
use serde_json::json;

use super::hand::count;
use super::jobs::{Running, until_state};
use super::workflows::{LIMIT, output, start, with_traces};
use crate::support::{
    Database,
    flows::{Act, Flow},
    wait,
};

fn wait_for(name: &str, key: &str) -> Act {
    Act::Wait(name.into(), key.into(), None)
}

async fn emit(db: &Database, name: &str, key: &str, payload: i32) -> engine::Emitted {
    Client::new(db.pool().clone()).emit(name, key, &payload, None).await.expect("emitted")
}

async fn until_parked(db: &Database, id: JobId) {
    until_state(db.pool(), id, "parked").await;
}

#[tokio::test]
async fn an_event_that_comes_first_is_not_lost_and_each_is_received_once() {
    let db = with_traces().await;
    assert_eq!(emit(&db, "paid", "7", 1).await.woken, 0);
    emit(&db, "paid", "8", 99).await;
    emit(&db, "paid", "7", 2).await;
    let id = start(&db, vec![wait_for("paid", "7"), wait_for("paid", "7"), wait_for("paid", "7")]).await;
    let worker = Running::start(db.pool(), 1);
    until_parked(&db, id).await;
    let third = emit(&db, "paid", "7", 3).await;
    assert_eq!((third.created, third.woken), (true, 1));
    assert_eq!(output(&db, id).await, json!([1, 2, 3]));
    worker.stop().await;
    assert_eq!(count(db.pool(), "select count(*) from engine.event_wait").await, 0);
}

#[tokio::test]
async fn an_event_wakes_all_who_wait_for_its_key_and_nobody_else() {
    let db = with_traces().await;
    let ids = [
        start(&db, vec![wait_for("go", "a")]).await,
        start(&db, vec![wait_for("go", "a")]).await,
        start(&db, vec![wait_for("go", "b")]).await,
    ];
    let worker = Running::start(db.pool(), 1);
    for id in ids {
        until_parked(&db, id).await;
    }
    assert_eq!(emit(&db, "go", "a", 5).await.woken, 2);
    assert_eq!((output(&db, ids[0]).await, output(&db, ids[1]).await), (json!([5]), json!([5])));
    until_parked(&db, ids[2]).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_wait_ends_in_vain_at_its_timeout() {
    let db = with_traces().await;
    let id = start(&db, vec![Act::Wait("never".into(), String::new(), Some(200)), Act::Step("after".into())]).await;
    let worker = Running::start(db.pool(), 1);
    assert_eq!(output(&db, id).await, json!([null, 2]));
    worker.stop().await;
    assert_eq!(count(db.pool(), "select count(*) from engine.event_wait").await, 0);
    assert_eq!(count(db.pool(), "select count(*) from engine.attempt").await, 2);
}

#[tokio::test]
async fn a_repeated_emit_with_its_key_makes_one_event_and_another_payload_is_refused() {
    let db = with_traces().await;
    let client = Client::new(db.pool().clone());
    let first = client.emit("paid", "7", &1, Some("delivery 1")).await.expect("emitted");
    let again = client.emit("paid", "7", &1, Some("delivery 1")).await.expect("emitted");
    assert_eq!((first.created, again.created, first.id == again.id), (true, false, true));
    let other = client.emit("paid", "7", &2, Some("delivery 1")).await;
    assert!(matches!(other, Err(StoreError::KeyReused(_))), "{other:?}");
    let large = client.emit("paid", "7", &"x".repeat(2 << 20), None).await;
    assert!(matches!(large, Err(StoreError::PayloadTooLarge)), "{large:?}");
    let no_json = std::collections::BTreeMap::from([((1, 2), 3)]);
    let refused = client.emit("paid", "7", &no_json, None).await.expect_err("a key is a string").to_string();
    assert!(refused.starts_with("the payload is not JSON: "), "{refused}");
    assert_eq!(count(db.pool(), "select count(*) from engine.event").await, 1);
}

#[tokio::test]
async fn an_event_happens_with_its_transaction_and_not_before() {
    let db = with_traces().await;
    let id = start(&db, vec![wait_for("go", "")]).await;
    let worker = Running::start(db.pool(), 1);
    until_parked(&db, id).await;
    let mut tx = db.pool().begin().await.expect("a transaction");
    emit_in(&mut tx, "go", "", &1, None).await.expect("emitted");
    tx.rollback().await.expect("undone");
    until_parked(&db, id).await;
    assert_eq!(count(db.pool(), "select count(*) from engine.event_wait").await, 1);
    sqlx::query("select * from engine.emit('go', '', '2')").execute(db.pool()).await.expect("emitted from SQL");
    assert_eq!(output(&db, id).await, json!([2]));
    worker.stop().await;
}

#[tokio::test]
async fn an_emitter_that_takes_long_holds_up_its_waiter_and_no_other_job() {
    let db = with_traces().await;
    let mut tx = db.pool().begin().await.expect("a transaction");
    emit_in(&mut tx, "go", "", &1, None).await.expect("emitted");
    let waiter = start(&db, vec![wait_for("go", "")]).await;
    let worker = Running::start(db.pool(), 2);
    wait::until("the waiter steps aside", Duration::from_secs(20), || async {
        count(db.pool(), "select count(*) from engine.attempt where outcome = 'waiting'").await > 0
    })
    .await;
    let other = start(&db, vec![Act::Step("one".into())]).await;
    output(&db, other).await;
    tx.commit().await.expect("committed");
    assert_eq!(output(&db, waiter).await, json!([1]));
    worker.stop().await;
}

#[tokio::test]
async fn an_emitter_with_an_older_snapshot_is_refused_or_found_out() {
    let db = with_traces().await;
    let mut tx = db.pool().begin().await.expect("a transaction");
    sqlx::query("set transaction isolation level repeatable read").execute(&mut *tx).await.expect("set");
    sqlx::query("select 1 from engine.topic").fetch_optional(&mut *tx).await.expect("a snapshot");
    let id = start(&db, vec![wait_for("go", "")]).await;
    let worker = Running::start(db.pool(), 1);
    until_parked(&db, id).await;
    let refused = emit_in(&mut tx, "go", "", &1, None).await;
    let Err(StoreError::Database(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(), Some("40001"));
    drop(tx);
    // By somebody's hand, past all rules.
    sqlx::query("insert into engine.event (name, key, emitted_at, payload) values ('go', '', engine.now(), '3')")
        .execute(db.pool())
        .await
        .expect("inserted");
    assert_eq!(output(&db, id).await, json!([3]), "the keeper looks after those who were missed");
    worker.stop().await;
}

#[tokio::test]
async fn a_parked_workflow_is_cancelled_at_once_and_its_wait_goes() {
    let db = with_traces().await;
    let id = start(&db, vec![wait_for("go", "")]).await;
    let worker = Running::start(db.pool(), 1);
    until_parked(&db, id).await;
    assert_eq!(cancel_request::cancel(db.pool(), id, "ann", None).await.expect("asked"), Cancelled::Cancelled);
    assert_eq!(emit(&db, "go", "", 1).await.woken, 0);
    until_state(db.pool(), id, "cancelled").await;
    worker.stop().await;
}

#[tokio::test]
async fn workflows_talk_to_each_other_through_events() {
    let db = with_traces().await;
    let asks = start(&db, vec![Act::Emit("ask".into(), "1".into()), wait_for("answer", "1")]).await;
    let answers = start(&db, vec![wait_for("ask", "1"), Act::Emit("answer".into(), "1".into())]).await;
    let worker = Running::start(db.pool(), 2);
    assert_eq!(output(&db, asks).await, json!([null, answers.to_string()]));
    assert_eq!(output(&db, answers).await, json!([asks.to_string(), null]));
    worker.stop().await;
}

#[tokio::test]
async fn an_event_that_is_not_what_is_expected_is_passed_over_by_a_handler_that_says_so() {
    let db = with_traces().await;
    let id = start(&db, vec![Act::WaitForNumber("number".into()), Act::Sleep(1), Act::Step("after".into())]).await;
    let worker = Running::start(db.pool(), 1);
    until_parked(&db, id).await;
    let client = Client::new(db.pool().clone());
    client.emit("number", "", &"seven", None).await.expect("emitted");
    client.emit("number", "", &json!({}), None).await.expect("emitted");
    // It has come to the third wait, and after it sleeps, which replays them all.
    wait::until("both were received", LIMIT, || async {
        count(db.pool(), "select count(*) from engine.step where event_id is not null").await == 2
    })
    .await;
    until_parked(&db, id).await;
    client.emit("number", "", &7, None).await.expect("emitted");
    assert_eq!(output(&db, id).await[0], 7);
    worker.stop().await;
}

#[tokio::test]
async fn an_open_transaction_of_an_emitter_stops_nobody_who_cancels_and_no_keeper() {
    let db = with_traces().await;
    let id = start(&db, vec![wait_for("go", "a")]).await;
    let worker = Running::start(db.pool(), 1);
    until_parked(&db, id).await;
    let mut open = db.pool().begin().await.expect("a transaction");
    emit_in(&mut open, "go", "a", &1, None).await.expect("emitted");
    assert_eq!(cancel_request::cancel(db.pool(), id, "ann", None).await.expect("asked"), Cancelled::Requested);
    sqlx::query("update engine.cancel_request set requested_at = requested_at - interval '2 seconds'")
        .execute(db.pool())
        .await
        .expect("aged");
    let mut keeper = db.pool().begin().await.expect("a transaction");
    sqlx::query("set local statement_timeout = '5s'").execute(&mut *keeper).await.expect("set");
    let settled: i32 = sqlx::query_scalar("select engine.settle_cancels(100)").fetch_one(&mut *keeper).await.expect("it does not wait");
    assert_eq!(settled, 0);
    keeper.commit().await.expect("committed");
    open.rollback().await.expect("rolled back");
    until_state(db.pool(), id, "cancelled").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_child_that_an_open_transaction_holds_keeps_its_siblings_from_no_end() {
    let db = with_traces().await;
    let child = |key: &str| Flow { acts: vec![wait_for("go", key)] };
    let id = start(&db, vec![Act::Children(vec![child("held"), child("free"), child("free")])]).await;
    let worker = Running::start(db.pool(), 4);
    wait::until("all wait", LIMIT, || async { count(db.pool(), "select count(*) from engine.parked").await == 4 }).await;
    let mut open = db.pool().begin().await.expect("a transaction");
    emit_in(&mut open, "go", "held", &1, None).await.expect("emitted");
    cancel_request::cancel(db.pool(), id, "ann", None).await.expect("asked");
    let stopped = "select count(*) from engine.job_state where parent_id is not null and state = 'cancelled'";
    wait::until("the others have stopped", LIMIT, || async { count(db.pool(), stopped).await == 2 }).await;
    open.rollback().await.expect("rolled back");
    wait::until("all have stopped", LIMIT, || async { count(db.pool(), stopped).await == 3 }).await;
    worker.stop().await;
}
