//! Refunds of Shopify: the money, the stock, and every order in which documents may come.

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::inbox::{count, execute, later, paid, process, receive, row};
use crate::support::{
    Database, run_all,
    shelf::{Batch, product, rows},
};

/// Shopify's id of the first line of the paid order: four units.
const LINE: i64 = 9_100_000_000_000_000_001;

/// A refund of so many units of the first line, and so much money.
fn refund(id: i64, units: i32, amount: &str) -> Value {
    json!({
        "id": id, "order_id": 5_123_456_789_012_345_678_i64, "created_at": "2026-03-29T02:00:05+01:00", "note": "one was thawed",
        "refund_line_items": [{ "line_item_id": LINE, "quantity": units, "restock_type": "cancel", "line_item": { "quantity": 4 } }],
        "transactions": [{ "kind": "refund", "status": "success", "amount": amount, "currency": "GBP" },
                         { "kind": "refund", "status": "failure", "amount": "99.00", "currency": "GBP" }],
    })
}

async fn told(pool: &PgPool, document: &Value) -> Result<(Option<Uuid>, String), String> {
    let inbox_id = receive(pool, "refunds/create", document).await;
    sqlx::query_as("select order_id, outcome from raw_ops.process_refund_webhook_txn($1)")
        .bind(inbox_id)
        .fetch_one(pool)
        .await
        .map_err(|error| error.to_string())
}

async fn outcome(pool: &PgPool, document: &Value) -> String {
    told(pool, document).await.expect("the refund is sound").1
}

/// A shelf with ten units of what the paid order asks for, two batches.
async fn stocked(db: &Database) {
    let adult = product(db.pool(), "RAW-ADULT-1KG").await;
    Batch::of(3, 30).put(db.pool(), "first", adult).await;
    Batch::of(7, 60).put(db.pool(), "second", adult).await;
}

async fn reserved(db: &Database) -> Value {
    rows(db.pool(), "select batch_code, qty_reserved from raw_ops.batches order by batch_code").await
}

#[tokio::test]
async fn a_refund_is_written_with_its_money_and_told_twice_is_written_once() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    assert_eq!(outcome(db.pool(), &refund(1, 1, "7.50")).await, "recorded");
    assert_eq!(outcome(db.pool(), &refund(1, 1, "7.50")).await, "known");
    assert_eq!(outcome(db.pool(), &refund(2, 1, "7.50")).await, "recorded");
    let written = rows(
        db.pool(),
        "select r.shopify_refund_id, r.amount_gbp::text, r.refund_type, r.reason, r.status, r.processed_by, o.order_number_label, r.customer_id = o.customer_id
         from raw_ops.refunds r join raw_ops.orders o on o.id = r.order_id order by 1",
    )
    .await;
    let expected = |id: &str| json!([id, "7.50", "partial", "one was thawed", "processed", "shopify", "#1001", true]);
    assert_eq!(written, json!([expected("1"), expected("2")]));
    assert_eq!(row(db.pool(), "select qty from raw_ops.order_items where qty <= 3").await["qty"], 2);
}

#[tokio::test]
async fn units_that_are_not_sent_any_more_go_back_to_the_batch_that_expires_last() {
    let (db, document) = (Database::new().await, paid());
    stocked(&db).await;
    receive(db.pool(), "orders/paid", &document).await;
    run_all(&db, jobs::kinds()).await;
    execute(db.pool(), "delete from raw_ops.order_items where sku is null").await;
    assert_eq!(reserved(&db).await, json!([["first", 3], ["second", 1]]));
    assert_eq!(outcome(db.pool(), &refund(1, 2, "15.00")).await, "recorded");
    assert_eq!(reserved(&db).await, json!([["first", 2], ["second", 0]]));
    assert_eq!(count(db.pool(), "raw_ops.order_items where qty = 2 and quantity = 2").await, 1);
    // The order's own document, older or newer, gives nothing back a second time.
    for (seconds, left) in [(3, 4), (9, 2)] {
        let mut newer = later(seconds, json!({}));
        newer["line_items"][0]["current_quantity"] = json!(left);
        process(db.pool(), &newer).await.expect("the document is sound");
    }
    assert_eq!(reserved(&db).await, json!([["first", 2], ["second", 0]]));
    assert_eq!(count(db.pool(), "raw_ops.allocations where qty_allocated = 2").await, 1);
}

#[tokio::test]
async fn a_refund_that_comes_after_the_document_which_shows_it_shrinks_nothing_again() {
    let db = Database::new().await;
    let mut shown = later(9, json!({ "financial_status": "partially_refunded" }));
    shown["line_items"][0]["current_quantity"] = json!(3);
    for document in [paid(), shown] {
        process(db.pool(), &document).await.expect("the document is sound");
    }
    assert_eq!(outcome(db.pool(), &refund(1, 1, "7.50")).await, "recorded");
    assert_eq!(count(db.pool(), "raw_ops.order_items where qty = 3").await, 1);
    assert_eq!(count(db.pool(), "raw_ops.refunds").await, 1);
}

#[tokio::test]
async fn a_document_from_before_a_refund_makes_no_line_grow_back() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    assert_eq!(outcome(db.pool(), &refund(1, 1, "7.50")).await, "recorded");
    let mut from_before = later(2, json!({}));
    from_before["line_items"][0]["current_quantity"] = json!(4);
    process(db.pool(), &from_before).await.expect("the document is sound");
    assert_eq!(count(db.pool(), "raw_ops.order_items where qty = 3 and quantity = 3").await, 1);
    assert_eq!(outcome(db.pool(), &refund(2, 3, "22.50")).await, "recorded");
    let mut newer = later(4, json!({}));
    newer["line_items"][0]["current_quantity"] = json!(4);
    process(db.pool(), &newer).await.expect("the document is sound");
    assert_eq!(count(db.pool(), &format!("raw_ops.order_items where shopify_line_item_id = '{LINE}'")).await, 0);
}

#[tokio::test]
async fn an_order_of_which_a_refund_leaves_nothing_waits_for_no_stock_until_it_has_lines_again() {
    let db = Database::new().await;
    product(db.pool(), "RAW-ADULT-1KG").await;
    receive(db.pool(), "orders/paid", &paid()).await;
    run_all(&db, jobs::kinds()).await;
    execute(db.pool(), "delete from raw_ops.order_items where sku is null").await;
    let requests = "select state, last_error is not null from raw_ops.allocation_queue order by state";
    assert_eq!(rows(db.pool(), requests).await, json!([["pending", true]]));
    receive(db.pool(), "refunds/create", &refund(1, 4, "30.00")).await;
    run_all(&db, jobs::kinds()).await;
    assert_eq!(rows(db.pool(), requests).await, json!([["cancelled", true]]));
    process(db.pool(), &later(9, json!({}))).await.expect("the document is sound");
    assert_eq!(rows(db.pool(), requests).await, json!([["cancelled", true], ["pending", false]]));
}

#[tokio::test]
async fn an_order_whose_money_is_all_given_back_has_ended_and_holds_no_stock() {
    let db = Database::new().await;
    stocked(&db).await;
    receive(db.pool(), "orders/paid", &paid()).await;
    run_all(&db, jobs::kinds()).await;
    let mut all = refund(1, 4, "41.34");
    all["refund_line_items"] = json!([]);
    assert_eq!(outcome(db.pool(), &all).await, "recorded");
    assert_eq!(reserved(&db).await, json!([["first", 0], ["second", 0]]));
    let ended = "select o.status, r.refund_type from raw_ops.orders o join raw_ops.refunds r on r.order_id = o.id";
    assert_eq!(row(db.pool(), ended).await, json!({ "status": "REFUNDED", "refund_type": "full" }));
}

#[tokio::test]
async fn stock_that_a_refund_frees_goes_to_who_waits_for_it() {
    let db = Database::new().await;
    let adult = product(db.pool(), "RAW-ADULT-1KG").await;
    Batch::of(4, 30).put(db.pool(), "only", adult).await;
    receive(db.pool(), "orders/paid", &paid()).await;
    run_all(&db, jobs::kinds()).await;
    let waiting = crate::support::shelf::order(db.pool(), &[(adult, 1)]).await;
    run_all(&db, jobs::kinds()).await;
    let held = format!("raw_ops.orders where id = '{waiting}' and status = 'ALLOCATED'");
    assert_eq!(count(db.pool(), &held).await, 0);
    receive(db.pool(), "refunds/create", &refund(1, 1, "7.50")).await;
    run_all(&db, jobs::kinds()).await;
    assert_eq!(count(db.pool(), &held).await, 1);
    assert_eq!(reserved(&db).await, json!([["only", 4]]));
}

#[tokio::test]
async fn what_is_at_the_packer_or_was_only_paid_back_stays_as_it_is() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    for (id, word) in [(1, "no_restock"), (2, "return")] {
        let mut money = refund(id, 1, "1.00");
        money["refund_line_items"][0]["restock_type"] = json!(word);
        assert_eq!(outcome(db.pool(), &money).await, "recorded");
    }
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind = 'order_ended_late'").await, 0);
    execute(db.pool(), "update raw_ops.orders set status = 'EXPORTED'").await;
    assert_eq!(outcome(db.pool(), &refund(3, 1, "7.50")).await, "recorded");
    assert_eq!(count(db.pool(), "raw_ops.order_items where qty = 4").await, 1);
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind = 'order_ended_late'").await, 1);
    assert_eq!(count(db.pool(), "raw_ops.exceptions_queue where issue_type = 'order_ended_late' and not resolved").await, 1);
    assert_eq!(count(db.pool(), "raw_ops.alert_log where severity = 'critical'").await, 1);
}

#[tokio::test]
async fn a_refund_of_our_own_is_the_row_that_asked_for_it() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    execute(
        db.pool(),
        "insert into raw_ops.refunds (order_id, amount_gbp, refund_type, reason, status) select id, 7.50, 'partial', 'thawed', 'processing' from raw_ops.orders",
    )
    .await;
    assert_eq!(outcome(db.pool(), &refund(1, 0, "7.50")).await, "recorded");
    let own = row(db.pool(), "select shopify_refund_id, reason, status, shopify_synced from raw_ops.refunds").await;
    assert_eq!(own, json!({ "shopify_refund_id": "1", "reason": "thawed", "status": "processed", "shopify_synced": true }));
}

#[tokio::test]
async fn money_of_another_currency_is_for_a_person() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    let mut euros = refund(1, 0, "8.00");
    euros["transactions"][0]["currency"] = json!("EUR");
    assert_eq!(outcome(db.pool(), &euros).await, "recorded");
    assert_eq!(count(db.pool(), "raw_ops.refunds").await, 0);
    assert_eq!(count(db.pool(), "raw_ops.alert_log where title = 'A refund in another currency'").await, 1);
}

#[tokio::test]
async fn a_refund_that_comes_before_its_order_waits_for_it() {
    let db = Database::new().await;
    execute(db.pool(), "update raw_ops.retry_config set backoff_seconds = '{0}' where error_category = 'not_ready'").await;
    let inbox_id = receive(db.pool(), "refunds/create", &refund(1, 1, "7.50")).await;
    let waits = sqlx::query_as::<_, (Option<Uuid>, String)>("select order_id, outcome from raw_ops.process_refund_webhook_txn($1)")
        .bind(inbox_id)
        .fetch_one(db.pool())
        .await
        .expect("it waits");
    assert_eq!(waits, (None, "waiting".into()));
    assert_eq!(count(db.pool(), "raw_ops.webhook_inbox where processing_status = 'pending'").await, 1);
    receive(db.pool(), "orders/paid", &paid()).await;
    run_all(&db, jobs::kinds()).await;
    assert_eq!(count(db.pool(), "raw_ops.refunds where shopify_refund_id = '1'").await, 1);
    assert_eq!(count(db.pool(), "raw_ops.webhook_inbox where processing_status = 'success'").await, 2);
}
