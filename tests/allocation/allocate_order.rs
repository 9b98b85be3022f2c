//! The job that looks for stock for one order.

use std::time::Duration;

use engine::{Client, NewJob, Worker, WorkerConfig};
use jobs::allocation::AllocateOrder;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::orders::inbox::{count, execute, later, paid, process, row};
use crate::support::{
    Database, run_all,
    shelf::{Batch, order, pass, product, release, rows},
    wait::until,
};

const OUTCOMES: &str = "select j.state, j.output ->> 'outcome', j.output ->> 'units_allocated', j.output ->> 'units_missing'
    from engine.job_state j where j.kind = 'allocation.allocate_order' order by j.id";

#[tokio::test]
async fn a_paid_order_gets_its_stock() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::default().put(db.pool(), "b1", beef).await;
    order(db.pool(), &[(beef, 4)]).await;
    run_all(&db, jobs::kinds()).await;
    assert_eq!(rows(db.pool(), OUTCOMES).await, json!([["completed", "allocated", "4", "0"]]));
    assert_eq!(count(db.pool(), "raw_ops.orders where status = 'ALLOCATED'").await, 1);
}

#[tokio::test]
async fn an_order_that_waits_is_no_failure_and_a_release_gives_it_the_rest() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(1, 30).put(db.pool(), "b1", beef).await;
    let held = Batch::of(9, 20).status("QA_HOLD").put(db.pool(), "b2", beef).await;
    pass(db.pool(), held).await;
    order(db.pool(), &[(beef, 4)]).await;
    run_all(&db, jobs::kinds()).await;
    assert_eq!(rows(db.pool(), OUTCOMES).await, json!([["completed", "partial", "1", "3"]]));
    let request =
        row(db.pool(), "select state, attempts, started_at is not null as started, last_error from raw_ops.allocation_queue").await;
    assert_eq!(request, json!({ "state": "pending", "attempts": 1, "started": true, "last_error": "waits for 3 of BEEF" }));

    assert_eq!(release(db.pool(), held).await, Ok("released".into()));
    run_all(&db, jobs::kinds()).await;
    let both = json!([["completed", "partial", "1", "3"], ["completed", "allocated", "3", "0"]]);
    assert_eq!(rows(db.pool(), OUTCOMES).await, both);
    assert_eq!(count(db.pool(), "raw_ops.allocation_queue where state = 'completed' and attempts = 2 and last_error is null").await, 1);
}

#[tokio::test]
async fn a_newer_document_of_a_waiting_order_looks_again() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    run_all(&db, jobs::kinds()).await;
    process(db.pool(), &later(1, json!({}))).await.expect("the order is sound");
    run_all(&db, jobs::kinds()).await;
    assert_eq!(count(db.pool(), "raw_ops.allocation_queue where attempts = 2 and state = 'pending'").await, 1);
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind = 'allocation_warning'").await, 1, "said once");
}

#[tokio::test]
async fn an_order_without_lines_is_tried_again_until_they_come() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::default().put(db.pool(), "b1", beef).await;
    order(db.pool(), &[]).await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(db.pool().clone(), jobs::kinds(), WorkerConfig::default()).run(stop.clone()));
    let limit = Duration::from_secs(20);
    until("it was tried once", limit, async || count(db.pool(), "engine.attempt where category = 'not_ready'").await == 1).await;
    execute(
        db.pool(),
        "insert into raw_ops.order_items (order_id, product_id, qty, unit_price_ex_vat)
         select o.id, p.id, 2, 1 from raw_ops.orders o, raw_ops.products p",
    )
    .await;
    until("it has its stock", limit, async || count(db.pool(), "engine.job_state where state = 'completed'").await == 1).await;
    stop.cancel();
    worker.await.expect("the worker does not panic").expect("its configuration is right");
    assert_eq!(count(db.pool(), "raw_ops.orders where status = 'ALLOCATED'").await, 1);
}

/// A person's open transaction holds one order: the others get their stock all the same, and that one later.
#[tokio::test]
async fn an_order_that_somebody_holds_does_not_stop_the_stock_of_others() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::default().put(db.pool(), "b1", beef).await;
    let held = order(db.pool(), &[(beef, 4)]).await;
    order(db.pool(), &[(beef, 4)]).await;
    let mut holder = db.pool().begin().await.expect("a transaction begins");
    sqlx::query("select from raw_ops.orders where id = $1 for update").bind(held).execute(&mut *holder).await.expect("it is free");
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(db.pool().clone(), jobs::kinds(), WorkerConfig::default()).run(stop.clone()));
    let limit = Duration::from_secs(20);
    until("the other has its stock", limit, async || count(db.pool(), "raw_ops.orders where status = 'ALLOCATED'").await == 1).await;
    assert_eq!(count(db.pool(), "engine.attempt where outcome = 'failed'").await, 0);
    holder.rollback().await.expect("it ends");
    execute(db.pool(), "update engine.scheduled set run_at = now()").await;
    until("it has its stock too", limit, async || count(db.pool(), "raw_ops.orders where status = 'ALLOCATED'").await == 2).await;
    until("its job has ended", limit, async || count(db.pool(), "engine.unique_key").await == 0).await;
    stop.cancel();
    worker.await.expect("the worker does not panic").expect("its configuration is right");
}

#[tokio::test]
async fn an_order_that_ended_gets_none() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    process(db.pool(), &later(1, json!({ "financial_status": "refunded" }))).await.expect("the refund is sound");
    run_all(&db, jobs::kinds()).await;
    assert_eq!(rows(db.pool(), OUTCOMES).await, json!([["completed", "closed", "0", "0"]]));
    assert_eq!(count(db.pool(), "raw_ops.allocation_queue where state = 'cancelled' and attempts = 0").await, 1);
}

#[tokio::test]
async fn an_order_that_is_not_there_is_named() {
    let db = Database::new().await;
    let order_id = Uuid::new_v4();
    let job = NewJob::of(&AllocateOrder { order_id }).expect("the arguments are JSON");
    Client::new(db.pool().clone()).enqueue(&job).await.expect("the queue takes the job");
    run_all(&db, jobs::kinds()).await;
    let letter = row(db.pool(), "select category, error_message from raw_ops.dead_letter_queue").await;
    assert_eq!(letter, json!({ "category": "validation", "error_message": format!("there is no order {order_id}") }));
    execute(db.pool(), "delete from raw_ops.dead_letter_queue").await;
}
