//! What becomes of a file, and of one that comes again.

use serde_json::json;

use super::{books_balance, exported, file, parcels, queue, receive, stock};
use crate::orders::inbox::{count, execute};
use crate::support::{Database, Outside, run_all, shelf::rows};

const AT: &str = "2026-01-14 16:05:00";
const FILES: &str = "select file_name, record_count, source, length(file_hash) as digits from raw_ops.processed_3pl_files";

#[tokio::test]
async fn a_file_becomes_parcels_and_the_same_file_again_nothing() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    exported(&db, &outside, 2).await;
    assert_eq!(stock(&db).await, json!([14, 4, 0]));
    let first = file(&[["PR#1", "101", AT], ["PR#2", "102", "2026-01-14T16:05:00Z"]]);
    assert_eq!(receive(db.pool(), "dispatch.csv", &first).await, "enqueued");
    run_all(&db, outside.kinds()).await;
    let expected = json!([["101", "DISPATCHED", "#1", "DISPATCHED"], ["102", "DISPATCHED", "#2", "DISPATCHED"]]);
    assert_eq!(parcels(&db).await, expected);
    assert_eq!(queue(&db).await, json!([["PR#1", "processed", null], ["PR#2", "processed", null]]));
    assert_eq!((rows(db.pool(), FILES).await, stock(&db).await), (json!([["dispatch.csv", 2, "http", 64]]), json!([10, 0, 2])));
    let of_parcels = "select courier, s.dispatched_at = '2026-01-14 16:05Z' as at, created_at = s.dispatched_at as then,
        batch_id is not null as of_batch, address_json ->> 'postcode' as postcode from raw_ops.shipments s";
    assert_eq!(rows(db.pool(), of_parcels).await, json!([["DPD", true, true, true, "PO1 2AB"], ["DPD", true, true, true, "PO1 2AB"]]));

    assert_eq!(receive(db.pool(), "another name.csv", &first).await, "duplicate");
    // Whoever lays its bytes into the inbox by hand, or in a form that differs in what nobody reads.
    execute(
        db.pool(),
        "insert into raw_ops.webhook_inbox (source, topic, raw_headers, raw_payload, raw_body, webhook_id)
        select source, topic, raw_headers, raw_payload, raw_body, 'by hand' from raw_ops.webhook_inbox where source = 'packer'",
    )
    .await;
    let again = file(&[["PR#2", "102", AT], ["PR#1", "101", AT], ["PR#1", "101", AT]]);
    assert_eq!(receive(db.pool(), "all of today.csv", &again).await, "enqueued");
    run_all(&db, outside.kinds()).await;
    assert_eq!((parcels(&db).await, stock(&db).await), (expected, json!([10, 0, 2])));
    assert_eq!(count(db.pool(), "raw_ops.processed_3pl_files").await, 2);
    assert_eq!(count(db.pool(), "raw_ops.dispatch_import_queue where processing_status = 'processed'").await, 5);
    assert_eq!(count(db.pool(), "raw_ops.webhook_inbox where source = 'packer' and processing_status = 'success'").await, 3);
    books_balance(&db).await;
}

#[tokio::test]
async fn rows_that_are_wrong_or_fit_no_order_wait_with_their_reason_and_stop_no_other() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    exported(&db, &outside, 3).await;
    let lines = [["PR#1", "101", AT], ["PR#9", "109", AT], ["PR#2", "", AT], ["PR#2", "102", "2096-01-14 16:05:00"], ["#3", "103", AT]];
    for (name, lines) in [("dispatch.csv", &lines[..]), ("later.csv", &[["PR#3", "101", AT]])] {
        receive(db.pool(), name, &file(lines)).await;
        run_all(&db, outside.kinds()).await;
    }
    assert_eq!(parcels(&db).await, json!([["101", "DISPATCHED", "#1", "DISPATCHED"]]));
    let unmatched = "no order has this name at the packer";
    let reasons = queue(&db).await;
    assert_eq!(
        (&reasons[0][1], &reasons[1], &reasons[4]),
        (&json!("processed"), &json!(["PR#9", "failed", unmatched]), &json!(["#3", "failed", unmatched]))
    );
    assert_eq!(reasons[2], json!(["PR#2", "failed", "tracking_no is missing"]));
    for (place, words) in [(3, "which has not come yet"), (5, "parcel 101 is on its way for another order")] {
        assert!(reasons[place][1] == "failed" && reasons[place][2].as_str().is_some_and(|why| why.contains(words)), "{reasons}");
    }
    let told = "select severity, title, sum(repeats) from raw_ops.alert_log where idempotency_key = 'dispatch rows' group by 1, 2";
    assert_eq!(rows(db.pool(), told).await, json!([["warning", "Rows of the packer that came to nothing", 5]]));
    assert_eq!(
        count(db.pool(), "engine.dead_letter_queue where topic = 'dispatch.import_dispatch' and category = 'business_rule'").await,
        2
    );

    // A person mends two of them.
    execute(
        db.pool(),
        "update raw_ops.dispatch_import_queue set external_order_id = 'PR#3', processing_status = 'pending' where external_order_id = '#3'",
    )
    .await;
    execute(db.pool(), "update raw_ops.dispatch_import_queue set processing_status = 'ignored' where external_order_id = 'PR#9'").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(parcels(&db).await, json!([["101", "DISPATCHED", "#1", "DISPATCHED"], ["103", "DISPATCHED", "#3", "DISPATCHED"]]));
    books_balance(&db).await;
}

#[tokio::test]
async fn a_file_that_is_none_says_so_in_the_inbox_and_makes_no_row() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    receive(db.pool(), "wrong.csv", "order,parcel\n1,2\n").await;
    receive(db.pool(), "empty.csv", &file(&[])).await;
    run_all(&db, outside.kinds()).await;
    let inbox = "select processing_status, error_category, last_error from raw_ops.webhook_inbox order by received_at";
    assert_eq!(
        rows(db.pool(), inbox).await,
        json!([["failed", "validation", "the file has no column order_ref"], ["success", null, null]])
    );
    assert_eq!(rows(db.pool(), FILES).await, json!([["empty.csv", 0, "http", 64]]));
    assert_eq!(queue(&db).await, json!([]));
}
