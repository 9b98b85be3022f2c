//! The request for stock of a paid order.

use engine::{Client, NewJob};
use jobs::allocation::AllocateOrder;
use serde_json::json;
use uuid::Uuid;

use crate::orders::inbox::{count, execute, later, paid, process, row};
use crate::support::{Database, run_all};

#[tokio::test]
async fn a_request_is_looked_at_and_stays_pending() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    run_all(&db, jobs::kinds()).await;
    let request =
        row(db.pool(), "select state, attempts, started_at is not null as started, completed_at, last_error from raw_ops.allocation_queue")
            .await;
    assert_eq!(request, json!({ "state": "pending", "attempts": 1, "started": true, "completed_at": null, "last_error": null }));

    process(db.pool(), &later(1, json!({}))).await.expect("the order is sound");
    run_all(&db, jobs::kinds()).await;
    assert_eq!(count(db.pool(), "raw_ops.allocation_queue where attempts = 2 and state = 'pending'").await, 1);
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind = 'allocation_requested'").await, 1);
}

#[tokio::test]
async fn a_request_taken_back_is_not_worked_on() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    process(db.pool(), &later(1, json!({ "financial_status": "refunded" }))).await.expect("the refund is sound");
    run_all(&db, jobs::kinds()).await;
    let job = row(db.pool(), "select state, error from engine.job_state").await;
    assert_eq!(job, json!({ "state": "cancelled", "error": "nothing is pending for the order, which is REFUNDED" }));
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
