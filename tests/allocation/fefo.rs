//! Which batches an order gets, and how much of each.

use serde_json::json;
use uuid::Uuid;

use crate::orders::inbox::{count, execute, row};
use crate::support::{
    Database,
    shelf::{Batch, allocate, message, order, product, rows},
};

const GIVEN: &str = "select b.batch_code, a.qty_allocated, a.is_partial, a.remaining_qty
    from raw_ops.allocations a join raw_ops.batches b on b.id = a.batch_id order by b.batch_code";

#[tokio::test]
async fn the_batch_that_expires_first_goes_first() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(10, 60).put(db.pool(), "later", beef).await;
    Batch::of(10, 30).put(db.pool(), "sooner", beef).await;
    Batch { expires_in: None, ..Batch::default() }.put(db.pool(), "undated", beef).await;
    let order = order(db.pool(), &[(beef, 10)]).await;
    assert_eq!(allocate(db.pool(), order).await, ("allocated".into(), 10, 0));
    assert_eq!(rows(db.pool(), GIVEN).await, json!([["sooner", 10, false, 0]]));
    assert_eq!(count(db.pool(), "raw_ops.orders where status = 'ALLOCATED'").await, 1);
    let request = row(db.pool(), "select state, attempts, completed_at is not null as done from raw_ops.allocation_queue").await;
    assert_eq!(request, json!({ "state": "completed", "attempts": 1, "done": true }));
}

#[tokio::test]
async fn a_line_is_split_over_batches_and_each_part_says_what_is_missing_after_it() {
    let db = Database::new().await;
    let (beef, lamb) = (product(db.pool(), "BEEF").await, product(db.pool(), "LAMB").await);
    Batch::of(4, 30).put(db.pool(), "b1", beef).await;
    Batch::of(3, 40).put(db.pool(), "b2", beef).await;
    Batch::of(9, 50).put(db.pool(), "b3", beef).await;
    Batch::of(2, 30).put(db.pool(), "l1", lamb).await;
    let order = order(db.pool(), &[(beef, 8), (lamb, 5)]).await;
    assert_eq!(allocate(db.pool(), order).await, ("partial".into(), 10, 3));
    let parts = json!([["b1", 4, true, 4], ["b2", 3, true, 1], ["b3", 1, false, 0], ["l1", 2, true, 3]]);
    assert_eq!(rows(db.pool(), GIVEN).await, parts);
    assert_eq!(count(db.pool(), "(select distinct allocation_group_id from raw_ops.allocations) g").await, 1, "one run");
    let reserved = rows(db.pool(), "select batch_code, qty_on_hand, qty_reserved from raw_ops.batches order by 1").await;
    assert_eq!(reserved, json!([["b1", 4, 4], ["b2", 3, 3], ["b3", 9, 1], ["l1", 2, 2]]));
    let state = row(db.pool(), "select o.status, q.state, q.last_error from raw_ops.orders o, raw_ops.allocation_queue q").await;
    assert_eq!(state, json!({ "status": "PARTIALLY_ALLOCATED", "state": "pending", "last_error": "waits for 3 of LAMB" }));
}

#[tokio::test]
async fn only_whole_free_units_of_good_released_batches_are_given() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(10, -1).put(db.pool(), "expired yesterday", beef).await;
    for status in ["QA_HOLD", "REJECTED", "RECALLED", "DEPLETED"] {
        Batch::of(10, 5).status(status).put(db.pool(), status, beef).await;
    }
    Batch { reserved: 10, ..Batch::of(10, 6) }.put(db.pool(), "reserved", beef).await;
    Batch::of(1, 7).put(db.pool(), "half", beef).await;
    execute(db.pool(), "update raw_ops.batches set qty_on_hand = 0.5 where batch_code = 'half'").await;
    let other = product(db.pool(), "LAMB").await;
    Batch::of(10, 5).put(db.pool(), "of another product", other).await;
    let order = order(db.pool(), &[(beef, 3)]).await;
    assert_eq!(allocate(db.pool(), order).await, ("waiting".into(), 0, 3));

    Batch::of(2, 0).put(db.pool(), "expires today", beef).await;
    execute(db.pool(), "update raw_ops.batches set qty_on_hand = 1.75 where batch_code = 'half'").await;
    assert_eq!(allocate(db.pool(), order).await, ("allocated".into(), 3, 0));
    assert_eq!(rows(db.pool(), GIVEN).await, json!([["expires today", 2, true, 1], ["half", 1, false, 0]]));
}

#[tokio::test]
async fn the_shelf_life_that_a_customer_must_get_is_a_setting() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(10, 13).put(db.pool(), "too short", beef).await;
    Batch::of(10, 14).put(db.pool(), "long enough", beef).await;
    execute(db.pool(), "update raw_ops.config set value_numeric = 14 where key = 'allocation.min_shelf_days'").await;
    let order = order(db.pool(), &[(beef, 12)]).await;
    assert_eq!(allocate(db.pool(), order).await, ("partial".into(), 10, 2));
    assert_eq!(rows(db.pool(), GIVEN).await, json!([["long enough", 10, true, 2]]));
}

#[tokio::test]
async fn allocating_again_gives_only_what_is_missing() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(4, 30).put(db.pool(), "b1", beef).await;
    let order = order(db.pool(), &[(beef, 6)]).await;
    assert_eq!(allocate(db.pool(), order).await, ("partial".into(), 4, 2));
    assert_eq!(allocate(db.pool(), order).await, ("partial".into(), 0, 2));
    Batch::of(50, 20).put(db.pool(), "b2", beef).await;
    assert_eq!(allocate(db.pool(), order).await, ("allocated".into(), 2, 0));
    assert_eq!(allocate(db.pool(), order).await, ("allocated".into(), 0, 0));
    assert_eq!(rows(db.pool(), GIVEN).await, json!([["b1", 4, true, 2], ["b2", 2, false, 0]]));
    assert_eq!(count(db.pool(), "raw_ops.batches where qty_reserved = 2 and qty_on_hand = 50").await, 1);
    let told = rows(db.pool(), "select kind, message from raw_ops.ops_events order by created_at").await;
    assert_eq!(
        told,
        json!([["allocation_partial", "The order got 4 units and waits for 2 of BEEF"], ["allocation_success", "The order got 2 units"]])
    );
}

#[tokio::test]
async fn what_was_sent_or_is_no_product_needs_no_stock() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(10, 30).put(db.pool(), "b1", beef).await;
    let order = order(db.pool(), &[(beef, 6)]).await;
    execute(db.pool(), "update raw_ops.order_items set fulfilled_qty = 4").await;
    execute(
        db.pool(),
        "insert into raw_ops.order_items (order_id, product_name, qty, unit_price_ex_vat) select id, 'Tip', 1, 3 from raw_ops.orders",
    )
    .await;
    assert_eq!(allocate(db.pool(), order).await, ("allocated".into(), 2, 0));
    execute(db.pool(), "update raw_ops.order_items set fulfilled_qty = qty").await;
    assert_eq!(allocate(db.pool(), order).await, ("allocated".into(), 0, 0), "what was held is what was sent");
}

#[tokio::test]
async fn a_line_whose_sku_no_product_has_waits_until_one_has() {
    let db = Database::new().await;
    let order = order(db.pool(), &[]).await;
    execute(
        db.pool(),
        "insert into raw_ops.order_items (order_id, sku, qty, unit_price_ex_vat) select id, 'NEW', 2, 3 from raw_ops.orders",
    )
    .await;
    assert_eq!(allocate(db.pool(), order).await, ("waiting".into(), 0, 2));
    assert_eq!(
        row(db.pool(), "select last_error from raw_ops.allocation_queue").await,
        json!({ "last_error": "waits for 2 of NEW (no product has this SKU)" })
    );
    let new = product(db.pool(), "NEW").await;
    Batch::of(2, 30).put(db.pool(), "n1", new).await;
    assert_eq!(allocate(db.pool(), order).await, ("allocated".into(), 2, 0));
}

#[tokio::test]
async fn an_order_that_takes_no_stock_is_left_alone() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(10, 30).put(db.pool(), "b1", beef).await;
    let order = order(db.pool(), &[(beef, 1)]).await;
    for (status, request) in [("PENDING", "pending"), ("EXPORTED", "cancelled")] {
        execute(db.pool(), &format!("update raw_ops.orders set status = '{status}'")).await;
        assert_eq!(allocate(db.pool(), order).await, ("closed".into(), 0, 0));
        assert_eq!(count(db.pool(), &format!("raw_ops.allocation_queue where state = '{request}'")).await, 1);
        assert_eq!(count(db.pool(), &format!("raw_ops.orders where status = '{status}'")).await, 1);
    }
    assert_eq!(count(db.pool(), "raw_ops.allocations").await, 0);
}

#[tokio::test]
async fn a_request_for_one_line_is_done_when_that_line_has_its_stock() {
    let db = Database::new().await;
    let (beef, lamb) = (product(db.pool(), "BEEF").await, product(db.pool(), "LAMB").await);
    Batch::of(1, 30).put(db.pool(), "b1", beef).await;
    let order = order(db.pool(), &[(beef, 1), (lamb, 1)]).await;
    execute(db.pool(), "insert into raw_ops.allocation_queue (order_id, order_item_id) select order_id, id from raw_ops.order_items").await;
    allocate(db.pool(), order).await;
    let requests = rows(
        db.pool(),
        "select p.sku, q.state from raw_ops.allocation_queue q
         left join raw_ops.order_items i on i.id = q.order_item_id left join raw_ops.products p on p.id = i.product_id order by 1",
    )
    .await;
    assert_eq!(requests, json!([["BEEF", "completed"], ["LAMB", "pending"], [null, "pending"]]));
}

#[tokio::test]
async fn the_database_itself_refuses_to_promise_more_than_there_is() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(10, 30).put(db.pool(), "b1", beef).await;
    let refused = sqlx::query("update raw_ops.batches set qty_reserved = 11").execute(db.pool()).await.expect_err("too much");
    assert!(message(&refused).contains("batches_never_oversold"), "{refused}");
}

#[tokio::test]
async fn an_order_that_is_not_there_is_an_error() {
    let db = Database::new().await;
    let order = Uuid::new_v4();
    let refused = sqlx::query("select * from raw_ops.allocate_order_to_batches($1)").bind(order).execute(db.pool()).await;
    assert_eq!(message(&refused.expect_err("no order")), format!("there is no order {order}"));
}
