//! Where an order stands, by Shopify's word and by our own progress.

use serde_json::{Value, json};

use super::inbox::{count, execute, later, paid, paid_with, process, row};
use crate::support::{Database, shelf::rows};

/// What people are asked to look at.
const CASES: &str = "select issue_type, issue_description, resolved from raw_ops.exceptions_queue order by resolved";
/// What they are alerted to, and how often.
const ALERTS: &str = "select severity, payload_json ->> 'message' as message, repeats from raw_ops.alert_log order by repeats desc";

async fn status(db: &Database) -> Value {
    row(db.pool(), "select status from raw_ops.orders").await["status"].take()
}

#[tokio::test]
async fn only_a_whole_payment_is_paid() {
    let db = Database::new().await;
    let cancelled = "2026-03-29T01:00:00Z";
    for (index, (fields, expected)) in [
        (json!({ "financial_status": "pending" }), "PENDING"),
        (json!({ "financial_status": "authorized" }), "PENDING"),
        (json!({ "financial_status": "partially_paid" }), "PENDING"),
        (json!({ "financial_status": "partially_refunded" }), "PENDING"),
        (json!({ "financial_status": null }), "PENDING"),
        (json!({ "financial_status": "paid" }), "PAID"),
        (json!({ "financial_status": "refunded" }), "REFUNDED"),
        (json!({ "financial_status": "voided" }), "CANCELLED"),
        (json!({ "financial_status": "paid", "cancelled_at": cancelled }), "CANCELLED"),
        (json!({ "financial_status": "refunded", "cancelled_at": cancelled }), "CANCELLED"),
        (json!({ "financial_status": "paid", "test": true }), "PENDING"),
    ]
    .into_iter()
    .enumerate()
    {
        execute(db.pool(), "truncate raw_ops.orders, raw_ops.order_items, raw_ops.allocation_queue cascade").await;
        process(db.pool(), &paid_with(fields.clone())).await.expect("the order is sound");
        assert_eq!(status(&db).await, expected, "case {index}: {fields}");
        assert_eq!(count(db.pool(), "raw_ops.allocation_queue").await, i64::from(expected == "PAID"), "case {index}");
    }
}

#[tokio::test]
async fn a_late_payment_does_not_throw_progress_back() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    for (seconds, own) in
        ["PARTIALLY_ALLOCATED", "ALLOCATED", "EXPORTED", "DISPATCHED", "DELIVERED", "CANCELLED", "REFUNDED"].into_iter().enumerate()
    {
        execute(db.pool(), &format!("update raw_ops.orders set status = '{own}'")).await;
        assert_eq!(process(db.pool(), &later(1 + seconds as u32, json!({}))).await, Ok("updated".into()));
        assert_eq!(status(&db).await, own);
    }
}

#[tokio::test]
async fn a_cancelled_order_takes_its_allocation_request_back() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    process(db.pool(), &later(1, json!({ "cancelled_at": "2026-03-29T01:00:02Z" }))).await.expect("the cancel is sound");
    assert_eq!(status(&db).await, "CANCELLED");
    assert_eq!(count(db.pool(), "raw_ops.allocation_queue where state = 'cancelled' and completed_at is not null").await, 1);
    process(db.pool(), &later(2, json!({}))).await.expect("the later document is sound");
    assert_eq!((status(&db).await, count(db.pool(), "raw_ops.allocation_queue").await), (json!("CANCELLED"), 1));
}

#[tokio::test]
async fn an_order_cancelled_at_the_packer_is_for_a_person() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    execute(db.pool(), "update raw_ops.orders set status = 'EXPORTED'").await;
    for seconds in [1, 2] {
        process(db.pool(), &later(seconds, json!({ "cancelled_at": "2026-03-29T01:00:02Z" }))).await.expect("the cancel is sound");
    }
    assert_eq!(status(&db).await, "EXPORTED");
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind = 'order_ended_late'").await, 1);
    let told = "Shopify says order #1001 is CANCELLED, but it is EXPORTED already: stop it at the packer or expect it back";
    assert_eq!(rows(db.pool(), CASES).await, json!([["order_ended_late", told, false]]));
    assert_eq!(rows(db.pool(), ALERTS).await, json!([["critical", told, 1]]));
}

#[tokio::test]
async fn another_address_of_an_order_at_the_packer_is_for_a_person() {
    let db = Database::new().await;
    let moved = |seconds: u32, street: &str| {
        let mut document = later(seconds, json!({}));
        document["shipping_address"]["address1"] = json!(street);
        document
    };
    process(db.pool(), &paid()).await.expect("the order is sound");
    process(db.pool(), &moved(1, "1 High St")).await.expect("the document is sound");
    execute(db.pool(), "update raw_ops.orders set status = 'EXPORTED'").await;
    process(db.pool(), &moved(2, "1 High St")).await.expect("the document is sound");
    assert_eq!(count(db.pool(), "raw_ops.exceptions_queue").await, 0, "the packer has this one");
    for (seconds, street) in [(3, "2 High St"), (4, "2 High St"), (5, "3 High St")] {
        process(db.pool(), &moved(seconds, street)).await.expect("the document is sound");
    }
    let told = "Shopify sends order #1001 to another address now, and the packer has the one before: tell him, or stop it";
    assert_eq!(rows(db.pool(), CASES).await, json!([["address_changed_late", told, false]]));
    assert_eq!(rows(db.pool(), ALERTS).await, json!([["critical", told, 2]]));
    // What a person has settled is a case of its own when it changes again.
    execute(db.pool(), "update raw_ops.exceptions_queue set resolved = true").await;
    process(db.pool(), &moved(6, "4 High St")).await.expect("the document is sound");
    assert_eq!(rows(db.pool(), CASES).await, json!([["address_changed_late", told, false], ["address_changed_late", told, true]]));
    assert_eq!(rows(db.pool(), ALERTS).await, json!([["critical", told, 2], ["critical", told, 1]]));
}

#[tokio::test]
async fn test_orders_ship_only_when_the_owner_says_so() {
    let db = Database::new().await;
    process(db.pool(), &paid_with(json!({ "test": true }))).await.expect("the order is sound");
    assert_eq!(status(&db).await, "PENDING");
    execute(db.pool(), "update raw_ops.system_config set value = 'true' where key = 'orders.ship_test_orders'").await;
    process(db.pool(), &later(1, json!({ "test": true }))).await.expect("the order is sound");
    assert_eq!(status(&db).await, "PAID");
}

#[tokio::test]
async fn a_subscription_is_known_by_source_or_tag_and_stays_one() {
    let db = Database::new().await;
    let is_subscription = "select is_subscription as known from raw_ops.orders";
    for fields in [json!({ "source_name": "subscription_contract_checkout_one" }), json!({ "tags": "vip, Seal Subscription" })] {
        execute(db.pool(), "truncate raw_ops.orders, raw_ops.order_items, raw_ops.allocation_queue cascade").await;
        process(db.pool(), &paid_with(fields)).await.expect("the order is sound");
        assert_eq!(row(db.pool(), is_subscription).await, json!({ "known": true }));
        process(db.pool(), &later(1, json!({}))).await.expect("the order is sound");
        assert_eq!(row(db.pool(), is_subscription).await, json!({ "known": true }));
    }
}

#[tokio::test]
async fn an_order_inserted_as_paid_by_anybody_asks_for_stock() {
    let db = Database::new().await;
    execute(db.pool(), "insert into raw_ops.orders (status) values ('PENDING'), ('PAID')").await;
    assert_eq!(count(db.pool(), "raw_ops.allocation_queue q join raw_ops.orders o on o.id = q.order_id where o.status = 'PAID'").await, 1);
    assert_eq!(count(db.pool(), "engine.job_state where kind = 'allocation.allocate_order'").await, 1);
}
