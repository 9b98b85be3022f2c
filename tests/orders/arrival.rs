//! Documents that come twice, late, together, or in any order.

use serde_json::json;

use super::inbox::{count, later, paid, paid_with, process, process_again, receive, row};
use crate::support::Database;

#[tokio::test]
async fn a_payment_that_is_told_of_after_a_partial_refund_is_one() {
    let db = Database::new().await;
    let refunded = later(9, json!({ "financial_status": "partially_refunded" }));
    assert_eq!(process(db.pool(), &refunded).await, Ok("created".into()));
    assert_eq!(row(db.pool(), "select status from raw_ops.orders").await, json!({ "status": "PENDING" }));
    assert_eq!(process(db.pool(), &paid()).await, Ok("stale".into()));
    let order = row(
        db.pool(),
        "select o.status, o.notes_json ->> 'financial_status' as newest, q.state
         from raw_ops.orders o join raw_ops.allocation_queue q on q.order_id = o.id",
    )
    .await;
    assert_eq!(order, json!({ "status": "PAID", "newest": "partially_refunded", "state": "pending" }));
}

#[tokio::test]
async fn a_paid_order_becomes_customer_order_lines_and_an_allocation_request() {
    let db = Database::new().await;
    super::inbox::execute(db.pool(), "insert into raw_ops.products (sku, name, kg) values ('RAW-ADULT-1KG', 'Adult', 1)").await;

    assert_eq!(process(db.pool(), &paid()).await, Ok("created".into()));

    let order = row(
        db.pool(),
        "select shopify_order_id, order_number_label, status, is_subscription, utm, utm_json = utm as utm_agrees, tags, referral_slug,
            ship_postcode, ordered_at at time zone 'utc' as ordered_at, (select shopify_customer_id from raw_ops.customers) as customer
         from raw_ops.orders",
    )
    .await;
    assert_eq!(
        order,
        json!({
            "shopify_order_id": "5123456789012345678", "order_number_label": "#1001", "status": "PAID", "is_subscription": false,
            "utm": { "utm_source": "newsletter" }, "utm_agrees": true, "tags": ["first box", "Collie"], "referral_slug": "bruno-42",
            "ship_postcode": "PO1 3CD", "ordered_at": "2026-03-28T23:59:57", "customer": "7234567890123456789",
        })
    );
    let line = row(
        db.pool(),
        "select i.qty, i.quantity, p.sku, i.pet_number, i.pet_name, i.daily_grams, i.life_stage
         from raw_ops.order_items i join raw_ops.products p on p.id = i.product_id",
    )
    .await;
    assert_eq!(
        line,
        json!({ "qty": 4, "quantity": 4, "sku": "RAW-ADULT-1KG", "pet_number": 1, "pet_name": "Bruno",
                "daily_grams": null, "life_stage": "adult" })
    );
    let request = row(
        db.pool(),
        "select q.state, j.kind, j.queue, j.unique_key = q.order_id::text as keyed, j.args ->> 'order_id' = q.order_id::text as named
         from raw_ops.allocation_queue q join engine.job_state j on j.kind <> 'orders.process_order'",
    )
    .await;
    assert_eq!(
        request,
        json!({ "state": "pending", "kind": "allocation.allocate_order", "queue": "allocation", "keyed": true, "named": true })
    );
    let inbox = row(
        db.pool(),
        "select processing_status, processing_attempts, shopify_order_id::text, shopify_order_number, processed_at is not null as processed,
            processing_duration_ms >= 0 and processing_time_ms >= 0 as timed from raw_ops.webhook_inbox",
    )
    .await;
    assert_eq!(
        inbox,
        json!({ "processing_status": "success", "processing_attempts": 1, "shopify_order_id": "5123456789012345678",
                "shopify_order_number": "1001", "processed": true, "timed": true })
    );
}

#[tokio::test]
async fn a_redelivered_webhook_creates_no_second_order() {
    let db = Database::new().await;
    let first = receive(db.pool(), "orders/create", &paid()).await;
    assert_eq!(process_again(db.pool(), first).await, Ok("created".into()));
    assert_eq!(process_again(db.pool(), first).await, Ok("stale".into()));
    assert_eq!(process(db.pool(), &paid()).await, Ok("stale".into()));

    for (table, rows) in [("orders", 1), ("order_items", 2), ("customers", 1), ("allocation_queue", 1), ("ops_events", 1)] {
        assert_eq!(count(db.pool(), &format!("raw_ops.{table}")).await, rows, "{table}");
    }
    assert_eq!(count(db.pool(), "engine.job_state where kind = 'allocation.allocate_order'").await, 1);
    assert_eq!(count(db.pool(), "raw_ops.webhook_inbox where processing_status = 'success'").await, 2);
}

#[tokio::test]
async fn an_older_document_changes_nothing() {
    let db = Database::new().await;
    process(db.pool(), &later(10, json!({ "note": "new", "total_price": "40.00" }))).await.expect("the newer document is sound");
    let before = snapshot(&db).await;
    assert_eq!(
        process(db.pool(), &later(9, json!({ "note": "old", "line_items": [], "cancelled_at": "2026-03-29T01:00:10Z" }))).await,
        Ok("stale".into())
    );
    assert_eq!(snapshot(&db).await, before);
}

#[tokio::test]
async fn an_update_that_comes_before_its_create_wins() {
    let db = Database::new().await;
    let update = receive(db.pool(), "orders/updated", &later(30, json!({ "note": "changed" }))).await;
    let create = receive(db.pool(), "orders/create", &paid_with(json!({ "financial_status": "pending" }))).await;
    assert_eq!(process_again(db.pool(), update).await, Ok("created".into()));
    assert_eq!(process_again(db.pool(), create).await, Ok("stale".into()));
    let order = row(db.pool(), "select status, notes_json ->> 'note' as note from raw_ops.orders").await;
    assert_eq!(order, json!({ "status": "PAID", "note": "changed" }));
}

#[tokio::test]
async fn paid_within_the_second_of_its_creation_is_news() {
    let db = Database::new().await;
    process(db.pool(), &paid_with(json!({ "financial_status": "pending" }))).await.expect("the pending order is sound");
    assert_eq!(count(db.pool(), "raw_ops.allocation_queue").await, 0);
    assert_eq!(process(db.pool(), &paid()).await, Ok("updated".into()));
    assert_eq!(process(db.pool(), &paid_with(json!({ "financial_status": "pending" }))).await, Ok("stale".into()));
    assert_eq!(count(db.pool(), "raw_ops.orders where status = 'PAID'").await, 1);
    assert_eq!(count(db.pool(), "raw_ops.allocation_queue").await, 1);
}

#[tokio::test]
async fn every_order_of_arrival_ends_the_same() {
    let db = Database::new().await;
    let documents = [
        paid_with(json!({ "financial_status": "pending" })),
        later(5, json!({ "note": "paid" })),
        later(10, json!({ "note": "edited", "line_items": [paid()["line_items"][0]] })),
        later(15, json!({ "financial_status": "refunded", "note": "refunded", "line_items": [paid()["line_items"][0]] })),
    ];
    let mut ends = Vec::new();
    for sequence in permutations(documents.len()) {
        super::inbox::execute(
            db.pool(),
            "truncate raw_ops.customers, raw_ops.orders, raw_ops.order_items, raw_ops.allocation_queue, raw_ops.webhook_inbox cascade",
        )
        .await;
        for index in sequence {
            process(db.pool(), &documents[index]).await.expect("the documents are sound");
        }
        ends.push(snapshot(&db).await);
    }
    assert_eq!(ends.len(), 24);
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:#?}");
}

#[tokio::test]
async fn eight_connections_with_one_order_make_one_order() {
    let db = Database::new().await;
    let mut inbox = Vec::new();
    for delay in 0..16 {
        inbox.push(receive(db.pool(), "orders/updated", &later(delay % 8, json!({ "note": delay.to_string() }))).await);
    }
    let ways: Vec<_> = (0..8)
        .map(|way| {
            let (pool, mine) = (db.pool().clone(), [inbox[way], inbox[15 - way]]);
            tokio::spawn(async move { [process_again(&pool, mine[0]).await, process_again(&pool, mine[1]).await] })
        })
        .collect();
    let mut outcomes = Vec::new();
    for way in ways {
        outcomes.extend(way.await.expect("no way panics"));
    }
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ok("created".into())).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    for (table, rows) in [("orders", 1), ("order_items", 2), ("customers", 1), ("allocation_queue", 1)] {
        assert_eq!(count(db.pool(), &format!("raw_ops.{table}")).await, rows, "{table}");
    }
    assert_eq!(count(db.pool(), "raw_ops.orders where updated_at_shopify = '2026-03-29T01:00:08Z'").await, 1);
}

#[tokio::test]
async fn eight_first_orders_of_one_customer_make_one_customer() {
    let db = Database::new().await;
    let ways: Vec<_> = (1..=8)
        .map(|id| {
            let mut document = paid_with(json!({ "id": id }));
            for (index, line) in document["line_items"].as_array_mut().expect("lines").iter_mut().enumerate() {
                line["id"] = json!(id * 10 + index);
            }
            let pool = db.pool().clone();
            tokio::spawn(async move {
                loop {
                    match process(&pool, &document).await {
                        Err(error) if error.contains("try again") => {}
                        end => return end,
                    }
                }
            })
        })
        .collect();
    for way in ways {
        assert_eq!(way.await.expect("no way panics"), Ok("created".into()));
    }
    assert_eq!(count(db.pool(), "raw_ops.customers").await, 1);
    assert_eq!(count(db.pool(), "raw_ops.orders where customer_id is not null").await, 8);
}

/// The order, its lines and its request as they stand, without what the moment of writing decides.
async fn snapshot(db: &Database) -> serde_json::Value {
    row(
        db.pool(),
        "select to_jsonb(o) - array['id', 'customer_id', 'created_at'] as order,
            (select jsonb_agg(to_jsonb(i) - array['id', 'order_id'] order by shopify_line_item_id)
             from raw_ops.order_items i where i.order_id = o.id) as lines,
            (select count(*) from raw_ops.allocation_queue q where q.state = 'pending') as waiting
         from raw_ops.orders o",
    )
    .await
}

fn permutations(length: usize) -> Vec<Vec<usize>> {
    if length == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(length - 1);
    shorter.iter().flat_map(|rest| (0..length).map(|at| [&rest[..at], &[length - 1], &rest[at..]].concat())).collect()
}
