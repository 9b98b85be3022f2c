//! The crash matrix of `subscriptions.process_event`, which has one step: stopped before its commit or after it, and run again.

use serde_json::{Value, json};
use sqlx::PgPool;

use super::{attempt, receive, subscription};
use crate::orders::inbox::execute;
use crate::support::{Database, run_all, shelf::rows};

async fn left(pool: &PgPool) -> Value {
    rows(
        pool,
        "select s.status, s.payment_status, s.failed_payment_count, (select count(*) from raw_ops.billing_attempts),
                (select count(*) from raw_ops.subscription_events where event_type = 'billing_attempt.failed'),
                (select count(*) from raw_ops.payment_events), (select count(*) from raw_ops.customers)
         from raw_ops.subscriptions s",
    )
    .await
}

#[tokio::test]
async fn stopped_before_or_after_its_commit_the_job_leaves_the_same() {
    let due = "2025-12-11T15:00:00+00:00";
    let document = subscription(json!({
        "billing_attempts": [attempt(1, due, json!({ "status": "failed", "error_message": "declined" }))],
        "failed_billing_attempt": { "id": 1, "date": due, "completed_at": "2025-12-11T15:00:09+00:00", "number_of_tries": 1 },
    }));
    let db = Database::new().await;
    let inbox_id = receive(db.pool(), "billing_attempt/failed", &document).await;
    let mut tx = db.pool().begin().await.expect("a transaction");
    sqlx::query("select raw_ops.process_seal_webhook_txn($1)").bind(inbox_id).execute(&mut *tx).await.expect("it is sound");
    tx.rollback().await.expect("the worker is gone");
    assert_eq!(left(db.pool()).await, json!([]));

    run_all(&db, jobs::kinds()).await;
    let after = json!([["active", "failing", 1, 1, 1, 1, 1]]);
    assert_eq!(left(db.pool()).await, after);
    execute(db.pool(), "update raw_ops.seal_webhook_inbox set processing_status = 'retrying'").await;
    run_all(&db, jobs::kinds()).await;
    assert_eq!(left(db.pool()).await, after);
}
