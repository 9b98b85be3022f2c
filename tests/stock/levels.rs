//! What runs low, and what a count is compared with.

use serde_json::json;

use crate::orders::inbox::execute;
use crate::support::{
    Database,
    shelf::{Batch, order, product, rows},
};

#[tokio::test]
async fn a_product_runs_low_below_the_setting_and_not_at_it() {
    let db = Database::new().await;
    for (sku, units) in [("AT-LOW", 40), ("UNDER-LOW", 39), ("AT-CRITICAL", 10), ("UNDER-CRITICAL", 9)] {
        let id = product(db.pool(), sku).await;
        Batch::of(units, 30).put(db.pool(), sku, id).await;
        Batch::of(100, -1).put(db.pool(), &format!("{sku} expired"), id).await;
        Batch::of(100, 30).status("QA_HOLD").put(db.pool(), &format!("{sku} held"), id).await;
    }
    product(db.pool(), "NONE").await;
    execute(db.pool(), "update raw_ops.batches set qty_reserved = 1, qty_on_hand = qty_on_hand + 1 where status = 'RELEASED'").await;
    execute(db.pool(), "insert into raw_ops.products (sku, name, kg, is_active) values ('GONE', 'Gone', 1, false)").await;
    let low = "select sku, units_available, threshold, severity from raw_ops.get_low_stock_alerts()";
    assert_eq!(
        rows(db.pool(), low).await,
        json!([
            ["NONE", 0, 10, "critical"],
            ["UNDER-CRITICAL", 9, 10, "critical"],
            ["AT-CRITICAL", 10, 40, "warning"],
            ["UNDER-LOW", 39, 40, "warning"]
        ])
    );
}

#[tokio::test]
async fn what_orders_wait_for_stands_beside_what_is_low() {
    let db = Database::new().await;
    let (beef, lamb) = (product(db.pool(), "BEEF").await, product(db.pool(), "LAMB").await);
    Batch::of(5, 30).put(db.pool(), "l1", lamb).await;
    order(db.pool(), &[(beef, 3), (lamb, 1)]).await;
    order(db.pool(), &[(beef, 4)]).await;
    let low = "select sku, units_available, units_waiting from raw_ops.get_low_stock_alerts()";
    assert_eq!(rows(db.pool(), low).await, json!([["BEEF", 0, 7], ["LAMB", 5, 1]]), "the worst first");
}

#[tokio::test]
async fn a_count_is_compared_with_every_batch_that_holds_something() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch { reserved: 2, ..Batch::of(8, 30) }.put(db.pool(), "agrees", beef).await;
    Batch::of(4, 40).status("QA_HOLD").put(db.pool(), "differs", beef).await;
    Batch::of(6, 50).put(db.pool(), "unrecorded", beef).await;
    Batch::of(0, 10).put(db.pool(), "empty", beef).await;
    Batch::of(0, 60).put(db.pool(), "only recorded", beef).await;
    execute(
        db.pool(),
        "insert into raw_ops.inventory (batch_id, location, kg_available)
         select b.id, v.place, v.kg
         from (values ('agrees', 'A', 3), ('agrees', 'B', 1), ('differs', 'A', 5), ('only recorded', 'A', 1)) v (code, place, kg)
         join raw_ops.batches b on b.batch_code = v.code",
    )
    .await;
    let listed = "select batch_code, qty_on_hand, qty_available, kg_expected, kg_recorded, drift_kg
                  from raw_ops.get_current_inventory_for_reconciliation()";
    assert_eq!(
        rows(db.pool(), listed).await,
        json!([
            ["agrees", 8, 6, 4.0, 4, 0.0],
            ["differs", 4, 4, 2.0, 5, 3.0],
            ["unrecorded", 6, 6, 3.0, null, null],
            ["only recorded", 0, 0, 0.0, 1, 1.0],
        ])
    );
}
