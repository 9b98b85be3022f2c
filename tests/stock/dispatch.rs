//! Stock leaves with a shipment, once.

use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::orders::inbox::{count, execute};
use crate::support::{
    Database,
    shelf::{Batch, allocate, order, product, rows},
};

const SHELF: &str = "select batch_code, qty_on_hand, qty_reserved from raw_ops.batches order by 1";
const MOVEMENTS: &str = "select b.batch_code, m.movement_type, m.qty_change, m.qty_before, m.qty_after
    from raw_ops.inventory_movements m join raw_ops.batches b on b.id = m.reference_id order by 1";

async fn ship(db: &Database, order: Uuid, status: &str) -> Uuid {
    sqlx::query_scalar("insert into raw_ops.shipments (order_id, status) values ($1, $2::raw_ops.shipment_status) returning id")
        .bind(order)
        .bind(status)
        .fetch_one(db.pool())
        .await
        .expect("a shipment can be made")
}

/// Twelve units on two batches, and an order that has eight of them from both.
async fn packed(db: &Database) -> Uuid {
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(5, 30).put(db.pool(), "b1", beef).await;
    Batch::of(7, 40).put(db.pool(), "b2", beef).await;
    let order = order(db.pool(), &[(beef, 8)]).await;
    assert_eq!(allocate(db.pool(), order).await, ("allocated".into(), 8, 0));
    order
}

#[tokio::test]
async fn a_dispatch_takes_the_allocations_of_every_batch_once_however_often_it_is_written() {
    let db = Database::new().await;
    let order = packed(&db).await;
    ship(&db, order, "CREATED").await;
    assert_eq!(rows(db.pool(), SHELF).await, json!([["b1", 5, 5], ["b2", 7, 3]]), "nothing has left yet");
    for status in ["DISPATCHED", "DISPATCHED", "EXCEPTION", "DISPATCHED"] {
        execute(db.pool(), &format!("update raw_ops.shipments set status = '{status}'")).await;
        assert_eq!(rows(db.pool(), SHELF).await, json!([["b1", 0, 0], ["b2", 4, 0]]));
    }
    let mut movements = rows(db.pool(), MOVEMENTS).await;
    let befores: Vec<i64> = movements.as_array().expect("rows").iter().filter_map(|row| row[3].as_i64()).collect();
    assert!(befores == [12, 7] || befores == [9, 12], "one after the other: {befores:?}");
    for row in movements.as_array_mut().expect("rows") {
        row.as_array_mut().expect("columns").truncate(3);
    }
    assert_eq!(movements, json!([["b1", "dispatch", -5], ["b2", "dispatch", -3]]));
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind in ('dispatch_without_stock', 'stock_mismatch')").await, 0);
}

#[tokio::test]
async fn a_shipment_inserted_as_dispatched_takes_its_stock() {
    let db = Database::new().await;
    let order = packed(&db).await;
    ship(&db, order, "DISPATCHED").await;
    assert_eq!(rows(db.pool(), SHELF).await, json!([["b1", 0, 0], ["b2", 4, 0]]));
    assert_eq!(rows(db.pool(), "select kg_available from raw_ops.inventory order by 1").await, json!([[0.0], [2.0]]));
    assert_eq!(rows(db.pool(), "select qty_available from raw_ops.inventory_on_hand").await, json!([[4]]));
}

#[tokio::test]
async fn a_second_parcel_takes_only_what_was_allocated_since_the_first() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(5, 30).put(db.pool(), "b1", beef).await;
    let order = order(db.pool(), &[(beef, 8)]).await;
    allocate(db.pool(), order).await;
    let first = ship(&db, order, "DISPATCHED").await;
    ship(&db, order, "DISPATCHED").await;
    assert_eq!(rows(db.pool(), SHELF).await, json!([["b1", 0, 0]]));

    Batch::of(9, 40).put(db.pool(), "b2", beef).await;
    assert_eq!(allocate(db.pool(), order).await, ("allocated".into(), 3, 0));
    execute(db.pool(), &format!("update raw_ops.shipments set status = 'DISPATCHED' where id = '{first}'")).await;
    assert_eq!(rows(db.pool(), SHELF).await, json!([["b1", 0, 0], ["b2", 9, 3]]), "the first took its part already");
    ship(&db, order, "DISPATCHED").await;
    assert_eq!(rows(db.pool(), SHELF).await, json!([["b1", 0, 0], ["b2", 6, 0]]));
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind = 'dispatch_without_stock'").await, 0);
}

#[tokio::test]
async fn two_parcels_dispatched_at_once_take_the_stock_once() {
    let db = Database::new().await;
    let order = packed(&db).await;
    for _ in 0..8 {
        ship(&db, order, "CREATED").await;
    }
    let shipments: Vec<Uuid> = sqlx::query_scalar("select id from raw_ops.shipments").fetch_all(db.pool()).await.expect("shipments");
    let mut at_once = JoinSet::new();
    for shipment in shipments {
        let pool = db.pool().clone();
        at_once.spawn(async move {
            sqlx::query("update raw_ops.shipments set status = 'DISPATCHED' where id = $1").bind(shipment).execute(&pool).await
        });
    }
    while let Some(ended) = at_once.join_next().await {
        ended.expect("no panic").expect("no dispatch fails");
    }
    assert_eq!(rows(db.pool(), SHELF).await, json!([["b1", 0, 0], ["b2", 4, 0]]));
    assert_eq!(count(db.pool(), "raw_ops.inventory_movements").await, 2);
}

#[tokio::test]
async fn a_dispatch_of_an_order_without_stock_is_told_once_and_takes_nothing() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(5, 30).put(db.pool(), "b1", beef).await;
    let order = order(db.pool(), &[(beef, 1)]).await;
    ship(&db, order, "DISPATCHED").await;
    execute(db.pool(), "update raw_ops.shipments set status = 'DISPATCHED'").await;
    assert_eq!(rows(db.pool(), SHELF).await, json!([["b1", 5, 0]]));
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind = 'dispatch_without_stock'").await, 1);
}

#[tokio::test]
async fn goods_that_left_and_were_not_in_the_books_are_told() {
    let db = Database::new().await;
    let order = packed(&db).await;
    execute(db.pool(), "update raw_ops.batches set qty_on_hand = 2, qty_reserved = 2 where batch_code = 'b1'").await;
    ship(&db, order, "DISPATCHED").await;
    assert_eq!(rows(db.pool(), SHELF).await, json!([["b1", 0, 0], ["b2", 4, 0]]));
    let told = rows(db.pool(), "select message from raw_ops.ops_events where kind = 'stock_mismatch'").await;
    assert_eq!(told, json!([["5 units left with a shipment and only 2 were on hand"]]));
}
