//! Fulfilments of Shopify: what was sent, and where the parcel is.

use serde_json::{Value, json};
use sqlx::PgPool;

use super::inbox::{count, execute, paid, process, receive, row};
use crate::support::{Database, run_all, shelf::rows};

/// A fulfilment of so many units of the first line, as old as these seconds.
fn sent(id: i64, units: i32, seconds: u32, fields: Value) -> Value {
    let mut document = json!({
        "id": id, "order_id": 5_123_456_789_012_345_678_i64, "status": "success", "name": "#1001.1",
        "updated_at": format!("2026-03-30T09:00:{seconds:02}+01:00"), "tracking_company": "DPD", "tracking_numbers": ["15500000000001"],
        "line_items": [{ "id": 9_100_000_000_000_000_001_i64, "quantity": units }],
    });
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    document.as_object_mut().expect("an object").extend(fields);
    document
}

async fn told(pool: &PgPool, document: &Value) -> String {
    let inbox_id = receive(pool, "fulfillments/update", document).await;
    sqlx::query_scalar("select outcome from raw_ops.process_fulfillment_webhook_txn($1)")
        .bind(inbox_id)
        .fetch_one(pool)
        .await
        .expect("the fulfilment is sound")
}

async fn fulfilled(db: &Database) -> Value {
    rows(db.pool(), "select qty, fulfilled_qty from raw_ops.order_items order by shopify_line_item_id").await
}

#[tokio::test]
async fn fulfilments_add_up_and_one_told_twice_or_late_counts_once() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    assert_eq!(told(db.pool(), &sent(1, 1, 5, json!({}))).await, "recorded");
    assert_eq!(told(db.pool(), &sent(1, 1, 9, json!({}))).await, "recorded");
    assert_eq!(told(db.pool(), &sent(1, 3, 7, json!({}))).await, "stale", "an older document of the same parcel");
    assert_eq!(fulfilled(&db).await, json!([[4, 1], [2, 0]]));
    assert_eq!(told(db.pool(), &sent(2, 2, 5, json!({}))).await, "recorded");
    assert_eq!(told(db.pool(), &sent(3, 9, 5, json!({ "status": "pending" }))).await, "recorded");
    assert_eq!(fulfilled(&db).await, json!([[4, 3], [2, 0]]));
    assert_eq!(row(db.pool(), "select fulfillment_status from raw_ops.orders").await["fulfillment_status"], "partial");
    assert_eq!(told(db.pool(), &sent(2, 2, 8, json!({ "status": "cancelled" }))).await, "recorded");
    assert_eq!(fulfilled(&db).await, json!([[4, 3], [2, 0]]), "a person sees whether it left");
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind = 'fulfillment_cancelled'").await, 1);
}

#[tokio::test]
async fn the_parcel_gets_its_number_and_moves_forward_only() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    execute(db.pool(), "insert into raw_ops.shipments (order_id) select id from raw_ops.orders").await;
    for (seconds, word, stands, order) in [
        (1, Value::Null, "CREATED", "PAID"),
        (2, json!("in_transit"), "IN_TRANSIT", "DISPATCHED"),
        (3, json!("confirmed"), "IN_TRANSIT", "DISPATCHED"),
        (4, json!("attempted_delivery"), "EXCEPTION", "DISPATCHED"),
        (5, json!("out_for_delivery"), "OUT_FOR_DELIVERY", "DISPATCHED"),
        (6, json!("delivered"), "DELIVERED", "DELIVERED"),
        (7, json!("in_transit"), "DELIVERED", "DELIVERED"),
    ] {
        assert_eq!(told(db.pool(), &sent(1, 4, seconds, json!({ "shipment_status": word }))).await, "recorded");
        let is = row(
            db.pool(),
            "select s.status, s.tracking_no, s.courier, o.status as order_status from raw_ops.shipments s join raw_ops.orders o on o.id = s.order_id",
        )
        .await;
        assert_eq!(is, json!({ "status": stands, "tracking_no": "15500000000001", "courier": "DPD", "order_status": order }), "{seconds}");
    }
    let times = row(db.pool(), "select delivered_at = '2026-03-30T09:00:06+01:00' as delivered, dispatched_at = '2026-03-30T09:00:02+01:00' as left from raw_ops.shipments").await;
    assert_eq!(times, json!({ "delivered": true, "left": true }));
}

#[tokio::test]
async fn a_scan_takes_the_stock_out_even_when_the_parcel_was_never_dispatched() {
    let db = Database::new().await;
    let adult = crate::support::shelf::product(db.pool(), "RAW-ADULT-1KG").await;
    crate::support::shelf::Batch::of(9, 30).put(db.pool(), "only", adult).await;
    receive(db.pool(), "orders/paid", &paid()).await;
    run_all(&db, jobs::kinds()).await;
    execute(db.pool(), "insert into raw_ops.shipments (order_id) select id from raw_ops.orders").await;
    assert_eq!(told(db.pool(), &sent(1, 4, 1, json!({ "shipment_status": "delivered" }))).await, "recorded");
    let left = row(db.pool(), "select qty_on_hand::integer as on_hand, qty_reserved::integer as reserved from raw_ops.batches").await;
    assert_eq!(left, json!({ "on_hand": 5, "reserved": 0 }));
}

#[tokio::test]
async fn a_fulfilment_that_comes_before_its_order_waits_for_it() {
    let db = Database::new().await;
    execute(db.pool(), "update raw_ops.retry_config set backoff_seconds = '{0}' where error_category = 'not_ready'").await;
    receive(db.pool(), "fulfillments/create", &sent(1, 4, 1, json!({}))).await;
    receive(db.pool(), "orders/paid", &paid()).await;
    run_all(&db, jobs::kinds()).await;
    assert_eq!(fulfilled(&db).await, json!([[4, 4], [2, 0]]));
    assert_eq!(count(db.pool(), "raw_ops.webhook_inbox where processing_status = 'success'").await, 2);
}
