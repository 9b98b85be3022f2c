//! Orders to the packer and his files back: whoever dies where, each order goes out once, and its stock leaves once.

use engine::failpoint::Side;
use jobs::{dispatch::FetchFiles, export::CollectOrders};
use serde_json::json;
use sqlx::PgPool;

use super::{Case, enqueue, nothing, survives_at};
use crate::dispatch::file;
use crate::export::waiting;
use crate::orders::inbox::execute;
use crate::support::Outside;

/// A file that the packer has laid out.
pub fn laid_out(outside: &Outside) {
    outside.packer.lay_out("today.csv", file(&[["PR#1", "101", "2026-01-14 16:05:00"], ["PR#2", "102", "2026-01-14 16:05:00"]]));
}

/// Orders that have their stock, and no job.
async fn put_orders(pool: &PgPool) {
    waiting(pool, 2).await;
    execute(pool, "delete from engine.ready").await;
    execute(pool, "truncate engine.job, engine.unique_key").await;
}

#[tokio::test]
async fn orders_go_to_the_packer_once() {
    let case = Case {
        prepare: |pool| {
            Box::pin(async {
                put_orders(pool).await;
                enqueue(pool, CollectOrders {}).await;
            })
        },
        end: "select e.status, (select array_agg(distinct o.status || o.export_state) from raw_ops.orders o) from raw_ops.export_outbox e",
        outside: |outside| json!(outside.packer.orders()),
    };
    // Before the collection's commit. Of the sending: when it has begun, between the upload and its record, and when all is done
    // and not committed.
    let places = [
        ("run/complete commit", Side::Before, 1),
        ("run/commit", Side::After, 1),
        ("run/commit", Side::Before, 2),
        ("run/complete commit", Side::Before, 2),
    ];
    survives_at(case, &places, places.len()).await;
}

#[tokio::test]
async fn what_the_packer_has_sent_takes_its_stock_once() {
    let case = Case {
        prepare: |pool| {
            Box::pin(async {
                put_orders(pool).await;
                execute(pool, "update raw_ops.orders set status = 'EXPORTED', external_order_ref = 'PR' || order_number_label").await;
                enqueue(pool, FetchFiles {}).await;
            })
        },
        end:
            "select b.qty_on_hand, b.qty_reserved, (select count(*) from raw_ops.shipments where status = 'DISPATCHED') as parcels,
                  (select count(*) from raw_ops.inventory_movements where movement_type = 'dispatch') as movements,
                  (select count(*) from raw_ops.processed_3pl_files) as files,
                  (select count(*) from raw_ops.dispatch_import_queue where processing_status = 'processed') as rows from raw_ops.batches b",
        outside: nothing,
    };
    // Of the fetching: between a file and its record. Of the reading and of a row: before their commits and after.
    let places = [
        ("run/commit", Side::Before, 2),
        ("run/complete commit", Side::Before, 1),
        ("run/complete commit", Side::After, 1),
        ("run/complete commit", Side::Before, 2),
    ];
    survives_at(case, &places, places.len()).await;
}
