//! Alerts of the allocation queue.

use engine::{Client, NewJob};
use jobs::allocation::WatchQueue;
use serde_json::json;

use crate::alerts::told;
use crate::orders::inbox::execute;
use crate::support::{
    Database, Outside, run_all,
    shelf::{Batch, order, product, rows},
};

async fn watch(db: &Database, outside: &Outside) {
    Client::new(db.pool().clone()).enqueue(&NewJob::of(&WatchQueue {}).expect("it serialises")).await.expect("enqueued");
    run_all(db, outside.kinds()).await;
}

const HISTORY: &str = "select alert_type, severity, message, details ->> 'threshold', resolved_at is not null
     from raw_ops.allocation_alert_history order by created_at, alert_type";

#[tokio::test]
async fn orders_that_wait_beyond_the_limits_are_told_once_and_so_is_their_end() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let beef = product(db.pool(), "BEEF").await;
    execute(db.pool(), "update raw_ops.allocation_alert_config set threshold_value = 2 where alert_type = 'waiting_orders'").await;
    for _ in 0..2 {
        order(db.pool(), &[(beef, 1)]).await;
    }
    watch(&db, &outside).await;
    assert_eq!((told(&outside).len(), rows(db.pool(), HISTORY).await), (0, json!([])), "at the limit all is well");

    order(db.pool(), &[(beef, 1)]).await;
    for _ in 0..2 {
        watch(&db, &outside).await;
    }
    assert_eq!(told(&outside).len(), 1, "{:?}", told(&outside));
    assert!(told(&outside)[0].1.contains("3 orders wait for stock"), "{:?}", told(&outside));
    assert_eq!(rows(db.pool(), HISTORY).await, json!([["waiting_orders", "warning", "3 orders wait for stock", "2", false]]));

    Batch::of(9, 30).status("QA_HOLD").put(db.pool(), "b1", beef).await;
    execute(db.pool(), "update raw_ops.batches set status = 'RELEASED'").await;
    run_all(&db, outside.kinds()).await;
    for _ in 0..2 {
        watch(&db, &outside).await;
    }
    assert_eq!(told(&outside).len(), 2, "{:?}", told(&outside));
    assert_eq!(rows(db.pool(), HISTORY).await, json!([["waiting_orders", "warning", "3 orders wait for stock", "2", true]]));
}

#[tokio::test]
async fn a_long_wait_is_critical_and_a_limit_can_be_turned_off() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let beef = product(db.pool(), "BEEF").await;
    order(db.pool(), &[(beef, 1)]).await;
    run_all(&db, outside.kinds()).await;
    execute(db.pool(), "update raw_ops.allocation_queue set created_at = now() - interval '24 hours 30 minutes'").await;
    execute(db.pool(), "insert into raw_ops.allocation_queue (order_id, state) select order_id, 'failed' from raw_ops.allocation_queue")
        .await;
    execute(db.pool(), "update raw_ops.allocation_alert_config set enabled = false where alert_type = 'failed_requests'").await;
    watch(&db, &outside).await;
    let history = json!([["oldest_wait_hours", "critical", "an order has waited 24.5 hours for stock", "24", false]]);
    assert_eq!(rows(db.pool(), HISTORY).await, history);
    assert_eq!(told(&outside)[0].0, "ops-urgent", "{:?}", told(&outside));
    execute(db.pool(), "update raw_ops.allocation_alert_config set enabled = not enabled").await;
    watch(&db, &outside).await;
    let open = "select alert_type from raw_ops.allocation_alert_history where resolved_at is null";
    assert_eq!(rows(db.pool(), open).await, json!([["failed_requests"]]), "what is turned off is over");
}
