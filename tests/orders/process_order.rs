//! The job: what it leaves behind when it succeeds, refuses, or finds nothing.

use engine::{Client, NewJob};
use jobs::orders::ProcessOrder;
use serde_json::json;
use uuid::Uuid;

use super::inbox::{count, later, paid, paid_with, receive, row};
use crate::support::{Database, run_all};

async fn run(db: &Database, inbox_id: Uuid) {
    // The row's own trigger made this job, if there is a row that waits.
    let job = NewJob::of(&ProcessOrder { inbox_id }).expect("the arguments are JSON").unique_key(inbox_id);
    Client::new(db.pool().clone()).enqueue(&job).await.expect("the queue takes the job");
    run_all(db, jobs::kinds()).await;
}

#[tokio::test]
async fn an_order_in_the_inbox_ends_as_an_order_that_asked_for_stock() {
    let db = Database::new().await;
    let inbox_id = receive(db.pool(), "orders/paid", &paid()).await;
    run(&db, inbox_id).await;

    let job = row(
        db.pool(),
        "select j.state, j.queue, j.output ->> 'outcome' as outcome, j.output ->> 'order_id' = o.id::text as named
         from engine.job_state j cross join raw_ops.orders o where j.kind = 'orders.process_order'",
    )
    .await;
    assert_eq!(job, json!({ "state": "completed", "queue": "orders", "outcome": "created", "named": true }));
    assert_eq!(count(db.pool(), "raw_ops.webhook_inbox where processing_status = 'success' and processing_attempts = 1").await, 1);
    assert_eq!(count(db.pool(), "engine.job_state where kind = 'allocation.allocate_order' and state = 'completed'").await, 1);
}

#[tokio::test]
async fn a_document_that_is_no_order_ends_as_a_dead_letter_that_says_why() {
    let db = Database::new().await;
    let inbox_id = receive(db.pool(), "orders/create", &paid_with(json!({ "total_price": "a lot" }))).await;
    run(&db, inbox_id).await;

    let reason = "total_price: expected an amount of money, such as \"12.50\"";
    let letter = row(
        db.pool(),
        "select topic, category, payload ->> 'inbox_id' as inbox_id, error_message, resolved from raw_ops.dead_letter_queue",
    )
    .await;
    assert_eq!(
        letter,
        json!({ "topic": "orders.process_order", "category": "validation", "inbox_id": inbox_id, "error_message": reason, "resolved": false })
    );
    let inbox =
        row(db.pool(), "select processing_status, processing_attempts, error_category, last_error from raw_ops.webhook_inbox").await;
    assert_eq!(
        inbox,
        json!({ "processing_status": "failed", "processing_attempts": 1, "error_category": "validation", "last_error": reason })
    );
    assert_eq!(count(db.pool(), "raw_ops.orders").await, 0);
}

#[tokio::test]
async fn a_row_that_is_not_there_is_named() {
    let db = Database::new().await;
    let inbox_id = Uuid::new_v4();
    run(&db, inbox_id).await;
    let letter = row(db.pool(), "select error_message from raw_ops.dead_letter_queue").await;
    assert_eq!(letter, json!({ "error_message": format!("webhook {inbox_id} is not in the inbox") }));
}

#[tokio::test]
async fn a_webhook_whose_job_is_killed_for_good_says_so_in_the_inbox() {
    let db = Database::new().await;
    let inbox_id = receive(db.pool(), "orders/paid", &paid()).await;
    let died = "insert into raw_ops.dead_letter_queue (source, topic, payload, error_message, category, attempts)
        values ('engine', 'orders.process_order', jsonb_build_object('inbox_id', $1::text), 'the worker died', 'poison', 3)";
    sqlx::query(died).bind(inbox_id.to_string()).execute(db.pool()).await.expect("a letter can be written");
    let inbox =
        row(db.pool(), "select processing_status, processing_attempts, error_category, last_error from raw_ops.webhook_inbox").await;
    let dead =
        json!({ "processing_status": "failed", "processing_attempts": 3, "error_category": "poison", "last_error": "the worker died" });
    assert_eq!(inbox, dead);

    // Arguments that name no row leave the letter, and the inbox as it is.
    sqlx::query(died).bind("no id").execute(db.pool()).await.expect("a letter can be written");
    assert_eq!(count(db.pool(), "raw_ops.dead_letter_queue").await, 2);
}

#[tokio::test]
async fn a_document_that_was_refused_can_be_mended_and_run_again() {
    let db = Database::new().await;
    let inbox_id = receive(db.pool(), "orders/create", &json!({})).await;
    run(&db, inbox_id).await;
    sqlx::query("update raw_ops.webhook_inbox set raw_payload = $1")
        .bind(later(0, json!({})))
        .execute(db.pool())
        .await
        .expect("the row is mended");
    run(&db, inbox_id).await;
    let inbox =
        row(db.pool(), "select processing_status, processing_attempts, last_error, error_category from raw_ops.webhook_inbox").await;
    assert_eq!(inbox, json!({ "processing_status": "success", "processing_attempts": 2, "last_error": null, "error_category": null }));
}
