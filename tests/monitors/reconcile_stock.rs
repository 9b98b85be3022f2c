//! The nightly look at stock.

use engine::{Client, NewJob};
use jobs::monitors::ReconcileStock;
use serde_json::{Value, json};

use crate::alerts::told;
use crate::orders::inbox::execute;
use crate::sandbox::seeded;
use crate::support::{
    Database, Outside, run_all,
    shelf::{Batch, allocate, order, product, rows},
};

const DRIFT: &str = "select figure, subject, expected::float8, found::float8 from raw_ops.stock_drift() order by figure, subject";

async fn reconcile(db: &Database, outside: &Outside) -> Value {
    Client::new(db.pool().clone()).enqueue(&NewJob::of(&ReconcileStock {}).expect("it serialises")).await.expect("enqueued");
    run_all(db, outside.kinds()).await;
    rows(db.pool(), "select output ->> 'drifts' from engine.attempt where output ? 'drifts' order by finished_at desc limit 1").await
}

#[tokio::test]
async fn books_that_agree_are_no_news_and_each_figure_that_differs_is_named() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let beef = product(db.pool(), "BEEF").await;
    let batch = Batch::of(10, 30).status("QA_HOLD").put(db.pool(), "b1", beef).await;
    execute(db.pool(), "update raw_ops.batches set status = 'RELEASED'").await;
    execute(db.pool(), &format!("select raw_ops.execute_manual_inventory_adjustment('{batch}', -2, 'counted', 'ann')")).await;
    let sold = order(db.pool(), &[(beef, 3)]).await;
    allocate(db.pool(), sold).await;
    assert_eq!((reconcile(&db, &outside).await, told(&outside).len()), (json!([["0"]]), 0), "{}", rows(db.pool(), DRIFT).await);

    execute(db.pool(), "update raw_ops.batches set qty_reserved = 1").await;
    execute(db.pool(), "update raw_ops.inventory set kg_available = kg_available + 5").await;
    execute(db.pool(), "update raw_ops.inventory_on_hand set qty_available = 100").await;
    let kg = rows(db.pool(), "select (8 * kg)::float8, (8 * kg + 5)::float8 from raw_ops.products").await;
    let drifts = json!([
        ["kilograms of a batch", "b1", kg[0][0], kg[0][1]],
        ["units on hand of a product", "BEEF", 8, 100],
        ["units reserved of a batch", "b1", 3, 1],
    ]);
    assert_eq!(rows(db.pool(), DRIFT).await, drifts);
    for _ in 0..2 {
        assert_eq!(reconcile(&db, &outside).await, json!([["3"]]));
    }
    let first = told(&outside);
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(first[0].1.contains("3 figures differ"), "{first:?}");

    execute(db.pool(), "update raw_ops.batches set qty_reserved = 3").await;
    execute(db.pool(), "update raw_ops.inventory set kg_available = kg_available - 5").await;
    execute(db.pool(), "update raw_ops.inventory_on_hand set qty_available = 8").await;
    assert_eq!(reconcile(&db, &outside).await, json!([["0"]]));
    assert_eq!(told(&outside).len(), 2, "its end is told: {:?}", told(&outside));
}

#[tokio::test]
async fn the_generated_company_agrees_with_itself() {
    let db = seeded(300).await;
    assert_eq!(rows(db.pool(), DRIFT).await, json!([]));
}
