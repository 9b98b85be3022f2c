//! The lines of an order over its life.

use serde_json::{Value, json};

use super::inbox::{count, execute, later, paid, process, receive, row};
use crate::support::{Database, shelf::rows};

/// The paid order some seconds later, its lines changed.
fn changed(seconds: u32, change: impl Fn(&mut Vec<Value>)) -> Value {
    let mut document = later(seconds, json!({}));
    change(document["line_items"].as_array_mut().expect("an order has lines"));
    document
}

async fn quantities(db: &Database) -> Value {
    row(
        db.pool(),
        "select jsonb_agg(jsonb_build_array(qty, fulfilled_qty) order by shopify_line_item_id) as lines from raw_ops.order_items",
    )
    .await["lines"]
        .take()
}

#[tokio::test]
async fn a_line_that_vanished_is_removed() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    process(db.pool(), &changed(1, |lines| drop(lines.pop()))).await.expect("the edit is sound");
    assert_eq!(quantities(&db).await, json!([[4, 0]]));
}

#[tokio::test]
async fn a_line_with_nothing_left_is_removed_and_one_with_less_shrinks() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    let edit = changed(1, |lines| {
        lines[0]["current_quantity"] = json!(3);
        lines[1]["current_quantity"] = json!(0);
    });
    process(db.pool(), &edit).await.expect("the edit is sound");
    assert_eq!(quantities(&db).await, json!([[3, 0]]));
}

#[tokio::test]
async fn a_line_that_was_sent_is_never_removed() {
    let db = Database::new().await;
    let sent = changed(0, |lines| {
        lines[0]["fulfillment_status"] = json!("partial");
        lines[0]["fulfillable_quantity"] = json!(1);
        lines[1]["fulfillment_status"] = json!("fulfilled");
    });
    process(db.pool(), &sent).await.expect("the order is sound");
    assert_eq!(quantities(&db).await, json!([[4, 3], [2, 2]]));
    process(db.pool(), &changed(1, |lines| drop(lines.pop()))).await.expect("the edit is sound");
    assert_eq!(quantities(&db).await, json!([[4, 3], [2, 2]]));
}

#[tokio::test]
async fn lines_stay_as_packed_once_stock_was_given_and_a_person_is_told_once() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    execute(db.pool(), "update raw_ops.orders set status = 'ALLOCATED'").await;
    for seconds in [1, 2] {
        process(db.pool(), &changed(seconds, |lines| drop(lines.pop()))).await.expect("the edit is sound");
    }
    assert_eq!(quantities(&db).await, json!([[4, 0], [2, 0]]));
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind = 'order_changed_late'").await, 1);
    process(db.pool(), &changed(3, |lines| lines[0]["fulfillment_status"] = json!("fulfilled"))).await.expect("the news is sound");
    assert_eq!(quantities(&db).await, json!([[4, 4], [2, 0]]));
}

/// Open cases of changed lines, and alerts: severity, title and how often.
async fn people_know(db: &Database) -> (Value, Value) {
    let cases = "select issue_type, issue_description from raw_ops.exceptions_queue where not resolved order by created_at";
    let alerts = "select severity, title, repeats from raw_ops.alert_log order by severity desc";
    (rows(db.pool(), cases).await, rows(db.pool(), alerts).await)
}

#[tokio::test]
async fn people_are_told_once_of_lines_that_changed_too_late_and_again_when_the_packer_has_them() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    execute(db.pool(), "update raw_ops.orders set status = 'ALLOCATED'").await;
    process(db.pool(), &changed(1, |lines| drop(lines.pop()))).await.expect("the edit is sound");
    assert_eq!(people_know(&db).await, (json!([]), json!([])), "what is taken away is refunded");
    for seconds in [2, 3] {
        process(db.pool(), &changed(seconds, |lines| more(lines))).await.expect("the edit is sound");
    }
    let told = |status: &str, act: &str| {
        json!([[
            "order_changed_late",
            format!(
                "Shopify changed the lines of order #1001 when it was {status} already, and they were left as \
            they are: RAW-ADULT-1KG is 6 and was 4. {act}"
            )
        ]])
    };
    let early = json!(["warning", "An order changed when it had its stock", 1]);
    assert_eq!(people_know(&db).await, (told("ALLOCATED", "Mend it before it goes to the packer"), json!([early])));
    execute(db.pool(), "update raw_ops.orders set status = 'EXPORTED'").await;
    for seconds in [4, 5] {
        process(db.pool(), &changed(seconds, |lines| more(lines))).await.expect("the edit is sound");
    }
    let late = json!(["critical", "An order changed when the packer had it", 1]);
    assert_eq!(people_know(&db).await, (told("EXPORTED", "Tell the packer, or stop it"), json!([early, late])));
    execute(db.pool(), "update raw_ops.exceptions_queue set resolved = true").await;
    process(db.pool(), &changed(6, |lines| more(lines))).await.expect("the news is sound");
    assert_eq!(people_know(&db).await, (json!([]), json!([early, late])), "a person has settled it");
}

fn more(lines: &mut [Value]) {
    for field in ["quantity", "current_quantity"] {
        lines[0][field] = json!(6);
    }
}

#[tokio::test]
async fn lines_that_agree_again_are_no_case_and_changed_once_more_they_are_told_once_more() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    execute(db.pool(), "update raw_ops.orders set status = 'EXPORTED'").await;
    let cases = "select resolved_by from raw_ops.exceptions_queue order by created_at";
    process(db.pool(), &changed(1, |lines| more(lines))).await.expect("the edit is sound");
    assert_eq!(rows(db.pool(), cases).await, json!([[null]]));
    for seconds in [2, 3] {
        process(db.pool(), &changed(seconds, |_| ())).await.expect("the edit is sound");
        assert_eq!(rows(db.pool(), cases).await, json!([["system"]]));
    }
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind = 'order_changed_back'").await, 1);
    for seconds in [4, 5] {
        process(db.pool(), &changed(seconds, |lines| more(lines))).await.expect("the edit is sound");
        assert_eq!(rows(db.pool(), cases).await, json!([["system"], [null]]));
    }
    assert_eq!(count(db.pool(), "raw_ops.alert_log where severity = 'critical' and repeats = 1").await, 2);
}

/// A refund has shrunk the line already when a document from before it comes.
#[tokio::test]
async fn a_document_from_before_a_refund_is_no_change_that_people_are_told_of() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    execute(db.pool(), "update raw_ops.orders set status = 'ALLOCATED'").await;
    let refund = json!({
        "id": 1, "order_id": 5_123_456_789_012_345_678_i64, "created_at": "2026-03-29T02:00:05+01:00", "note": "one was thawed",
        "refund_line_items": [{ "line_item_id": 9_100_000_000_000_000_001_i64, "quantity": 1, "restock_type": "cancel",
                                "line_item": { "quantity": 4 } }],
        "transactions": [],
    });
    let inbox_id = receive(db.pool(), "refunds/create", &refund).await;
    sqlx::query("select raw_ops.process_refund_webhook_txn($1)").bind(inbox_id).execute(db.pool()).await.expect("the refund is sound");
    assert_eq!(quantities(&db).await, json!([[3, 0], [2, 0]]));
    for status in ["ALLOCATED", "EXPORTED"] {
        execute(db.pool(), &format!("update raw_ops.orders set status = '{status}'")).await;
        process(db.pool(), &changed(1, |_| ())).await.expect("the document is sound");
        assert_eq!(people_know(&db).await, (json!([]), json!([])), "{status}");
    }
    // One more than before, of which the refund took one.
    process(
        db.pool(),
        &changed(2, |lines| {
            lines[0]["quantity"] = json!(5);
            lines[0]["current_quantity"] = json!(4);
        }),
    )
    .await
    .expect("the edit is sound");
    assert!(people_know(&db).await.0.to_string().contains("RAW-ADULT-1KG is 4 and was 3"));
}

#[tokio::test]
async fn an_order_first_seen_when_it_ended_keeps_what_was_sold() {
    let db = Database::new().await;
    let mut refunded = changed(1, |lines| lines.iter_mut().for_each(|line| line["current_quantity"] = json!(0)));
    refunded["financial_status"] = json!("refunded");
    process(db.pool(), &refunded).await.expect("the order is sound");
    assert_eq!(quantities(&db).await, json!([[4, 0], [2, 0]]));
}

#[tokio::test]
async fn a_line_of_another_order_is_refused_and_nothing_is_written() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    let mut thief = later(1, json!({ "id": 77 }));
    thief["line_items"][0]["id"] = json!(78);
    let refusal = process(db.pool(), &thief).await.expect_err("the line is taken");
    assert!(refusal.contains("line item 9100000000000000002 belongs to another order"), "{refusal}");
    assert_eq!(count(db.pool(), "raw_ops.orders").await, 1);
}

#[tokio::test]
async fn properties_of_any_shape_are_read_or_passed_over() {
    let db = Database::new().await;
    for (index, properties) in
        [json!({}), json!(null), json!([]), json!("x"), json!([1, { "name": null }, { "name": "pet_name", "value": null }])]
            .into_iter()
            .enumerate()
    {
        let document = changed(index as u32, |lines| lines[0]["properties"] = properties.clone());
        process(db.pool(), &document).await.expect("properties refuse no order");
    }
    assert_eq!(
        row(db.pool(), "select pet_number, daily_grams from raw_ops.order_items where pet_number = 2").await,
        json!({ "pet_number": 2, "daily_grams": 180 })
    );
}
