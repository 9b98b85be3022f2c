//! Dispatches: what the packer says has left becomes parcels, once.

mod crashes;
mod fetch_files;
mod import_dispatch;
mod read_file;
mod whole_way;

use jobs::export::CollectOrders;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

use crate::export::{self, waiting};
use crate::support::{
    Database, Outside,
    shelf::{self, rows},
};

/// So many orders that the packer has, `PR#1` and so on, of two units each of one batch.
pub async fn exported(db: &Database, outside: &Outside, orders: usize) {
    waiting(db.pool(), orders).await;
    assert_eq!(export::run(db, outside, CollectOrders {}).await["orders"], orders);
}

/// A file of rows, each an order, a parcel's number and a time.
pub fn file(lines: &[[&str; 3]]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| line.join(",")).collect();
    format!("order_ref,tracking_no,dispatched_at\r\n{}\r\n", lines.join("\r\n"))
}

/// Lays a file into the inbox as its route does; `enqueued` or `duplicate`.
pub async fn receive(pool: &PgPool, name: &str, file: &str) -> String {
    let headers = serde_json::json!({ "source": "http", "file_name": name }).to_string();
    sqlx::query_scalar("select raw_ops.store_dispatch_file($1, $2, $3)")
        .bind(headers)
        .bind(file.as_bytes())
        .bind(&Sha256::digest(file)[..])
        .fetch_one(pool)
        .await
        .expect("the inbox takes any file")
}

/// The rows of the queue: order, state, reason.
pub async fn queue(db: &Database) -> Value {
    rows(
        db.pool(),
        "select external_order_id, processing_status, error_message from raw_ops.dispatch_import_queue order by created_at, line",
    )
    .await
}

/// The parcels: number, state, the order's label and state.
pub async fn parcels(db: &Database) -> Value {
    let query = "select s.tracking_no, s.status, o.order_number_label, o.status as of_order
        from raw_ops.shipments s join raw_ops.orders o on o.id = s.order_id order by 1, 3";
    rows(db.pool(), query).await
}

/// Units on hand and reserved of the one batch, and how many movements took some away.
pub async fn stock(db: &Database) -> Value {
    let query = "select b.qty_on_hand, b.qty_reserved,
        (select count(*) from raw_ops.inventory_movements where movement_type = 'dispatch') as movements from raw_ops.batches b";
    rows(db.pool(), query).await[0].take()
}

/// The one row of the queue.
pub async fn row_id(pool: &PgPool) -> Uuid {
    sqlx::query_scalar("select id from raw_ops.dispatch_import_queue").fetch_one(pool).await.expect("one row")
}

/// Figures of stock that do not agree: none.
pub async fn books_balance(db: &Database) {
    assert_eq!(shelf::rows(db.pool(), "select * from raw_ops.stock_drift()").await, serde_json::json!([]));
}
