//! The crash matrix of the jobs that read Shopify's webhooks: each has one step, so a worker stops before its commit or after
//! it, and the job runs again.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::inbox::{count, execute, paid, receive};
use crate::support::{Database, Outside, run_due, shelf::rows};

/// What each topic brings, and the function of its job.
fn webhooks() -> [(&'static str, &'static str, Value); 5] {
    let order = 5_123_456_789_012_345_678_i64;
    [
        ("orders/updated", "process_order_webhook_txn", paid()),
        (
            "refunds/create",
            "process_refund_webhook_txn",
            json!({ "id": 1, "order_id": order, "created_at": "2026-03-29T02:00:05+01:00",
                "refund_line_items": [{ "line_item_id": 9_100_000_000_000_000_001_i64, "quantity": 1, "restock_type": "cancel", "line_item": { "quantity": 4 } }],
                "transactions": [{ "kind": "refund", "status": "success", "amount": "7.50", "currency": "GBP" }] }),
        ),
        (
            "fulfillments/create",
            "process_fulfillment_webhook_txn",
            json!({ "id": 1, "order_id": order, "status": "success", "updated_at": "2026-03-30T09:00:00Z",
                "line_items": [{ "id": 9_100_000_000_000_000_001_i64, "quantity": 2 }] }),
        ),
        (
            "customers/update",
            "process_customer_webhook_txn",
            json!({ "id": 7_234_567_890_123_456_789_i64, "email": "ada@example.test", "phone": "1", "updated_at": "2026-03-30T09:00:00Z" }),
        ),
        ("customers/redact", "process_privacy_webhook_txn", json!({ "customer": { "id": 7_234_567_890_123_456_789_i64 } })),
    ]
}

/// All that the jobs leave behind.
async fn left(pool: &PgPool) -> Value {
    rows(
        pool,
        "select o.status, (select sum(qty) from raw_ops.order_items), (select sum(fulfilled_qty) from raw_ops.order_items),
                (select array_agg(amount_gbp::text) from raw_ops.refunds), (select array_agg(phone) from raw_ops.customers),
                (select count(*) from raw_ops.privacy_requests), (select count(*) from raw_ops.alert_log)
         from raw_ops.orders o",
    )
    .await
}

#[tokio::test]
async fn stopped_before_or_after_its_commit_each_job_leaves_the_same() {
    let (calm, outside) = (Database::new().await, Outside::start().await);
    for (topic, _, document) in webhooks() {
        receive(calm.pool(), topic, &document).await;
        run_due(&calm, outside.kinds()).await;
    }
    let expected = left(calm.pool()).await;
    assert_eq!(expected, json!([["PAID", 5, 2, ["7.50"], ["1"], 1, 1]]));

    let db = Database::new().await;
    for (topic, function, document) in webhooks() {
        let inbox_id = receive(db.pool(), topic, &document).await;
        stop_before_commit(db.pool(), function, inbox_id).await;
        run_due(&db, outside.kinds()).await;
        let after = left(db.pool()).await;
        // After the commit nothing is left to run; a person who has it run again changes nothing.
        execute(db.pool(), "update raw_ops.webhook_inbox set processing_status = 'retrying'").await;
        run_due(&db, outside.kinds()).await;
        assert_eq!(left(db.pool()).await, after, "{topic}");
    }
    assert_eq!(left(db.pool()).await, expected);
    assert_eq!(count(db.pool(), "raw_ops.webhook_inbox where processing_status <> 'success'").await, 0);
}

/// A worker that dies at the last moment: all is written, nothing is committed.
async fn stop_before_commit(pool: &PgPool, function: &str, inbox_id: Uuid) {
    let mut tx = pool.begin().await.expect("a transaction");
    sqlx::query(AssertSqlSafe(format!("select raw_ops.{function}($1)"))).bind(inbox_id).execute(&mut *tx).await.expect("it is sound");
    tx.rollback().await.expect("the worker is gone");
}
