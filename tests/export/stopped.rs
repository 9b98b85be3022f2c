//! An order that Shopify ends when the packer has it, and that he stops: it comes to its end, once.

use chrono::{Duration, Utc};
use serde_json::{Value, json};

use super::{run, stands, waiting};
use crate::dispatch::{file, parcels, receive, stock};
use crate::orders::inbox::{count, execute, later, paid, process};
use crate::support::{Database, Outside, run_all, shelf::rows};

const AT: &str = "2026-01-14 16:05:00";

/// Two orders at the packer, `#1` and `#2`; the first is one of Shopify's.
async fn exported(db: &Database, outside: &Outside) {
    waiting(db.pool(), 2).await;
    let id = &paid()["id"];
    execute(db.pool(), &format!("update raw_ops.orders set shopify_order_id = '{id}' where order_number_label = '#1'")).await;
    run(db, outside, jobs::export::CollectOrders {}).await;
}

async fn cancelled(db: &Database) {
    let document =
        later(1, json!({ "name": "#1", "cancelled_at": "2026-03-29T01:00:02Z", "financial_status": "refunded", "shipping_address": null }));
    process(db.pool(), &document).await.expect("the cancel is sound");
}

async fn resolve(db: &Database, order: &str, who: &str) -> Result<String, String> {
    sqlx::query_scalar("select raw_ops.resolve_stopped_order($1, $2)")
        .bind(order)
        .bind(who)
        .fetch_one(db.pool())
        .await
        .map_err(|error| error.to_string())
}

/// No figure of stock disagrees; sums by product are made when stock moves, and none has moved since the shelf was filled.
async fn nothing_drifts(db: &Database) {
    let drift = "select * from raw_ops.stock_drift() where figure <> 'units on hand of a product'";
    assert_eq!(rows(db.pool(), drift).await, json!([]));
}

/// A file that says that this order was not sent.
fn not_sent(order: &str) -> String {
    format!("order_ref,tracking_no,dispatched_at,status\r\n{order},,,Not sent\r\n")
}

/// The order is over, its stock is back, and whoever looks finds why.
async fn is_over(db: &Database, by: &str) {
    assert_eq!(stands(db).await, json!([["#1", "CANCELLED", "stopped"], ["#2", "EXPORTED", "acked"]]));
    assert_eq!(stock(db).await, json!([14, 2, 0]));
    let said =
        "select e.status, o.order_number_label from raw_ops.export_outbox e join raw_ops.orders o on o.id = any (e.stopped_order_ids)";
    assert_eq!(rows(db.pool(), said).await, json!([["confirmed", "#1"]]));
    let cases = "select issue_type, resolved, resolved_by from raw_ops.exceptions_queue";
    assert_eq!(rows(db.pool(), cases).await, json!([["order_ended_late", true, by]]));
    let event = "select meta ->> 'by', meta ->> 'status_before' from raw_ops.ops_events where kind = 'order_stopped'";
    assert_eq!(rows(db.pool(), event).await, json!([[by, "EXPORTED"]]));
    nothing_drifts(db).await;
}

#[tokio::test]
async fn a_person_says_that_an_ended_order_was_not_sent_and_its_stock_comes_back_once() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    exported(&db, &outside).await;
    let refused = async |order: &str, words: &str| {
        let said = resolve(&db, order, "ada").await;
        assert!(said.as_ref().is_err_and(|error| error.contains(words)), "{order}: {said:?}");
    };
    refused("PR#1", "Shopify has not ended it").await;
    cancelled(&db).await;
    assert_eq!(stock(&db).await, json!([14, 4, 0]));
    refused("PR#2", "Shopify has not ended it").await;
    refused("PR#3", "no order is called PR#3").await;
    assert!(resolve(&db, "PR#1", " ").await.is_err_and(|error| error.contains("the name of who says so")));
    assert_eq!(resolve(&db, "#1", "ada").await, Ok("stopped".into()));
    is_over(&db, "ada").await;
    assert_eq!(resolve(&db, "PR#1", "bob").await, Ok("known".into()));
    receive(db.pool(), "a", &not_sent("PR#1")).await;
    run_all(&db, outside.kinds()).await;
    is_over(&db, "ada").await;
    // Whatever Shopify still says of it, and whatever becomes of its file.
    process(db.pool(), &later(2, json!({ "name": "#1", "financial_status": "refunded", "shipping_address": null })))
        .await
        .expect("the document is sound");
    assert_eq!(stands(&db).await[0], json!(["#1", "CANCELLED", "stopped"]));
}

#[tokio::test]
async fn the_packer_says_it_in_a_row_of_his_file_and_a_row_that_cannot_be_is_for_a_person() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    exported(&db, &outside).await;
    cancelled(&db).await;
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 2, backoff_seconds = '{0}'").await;
    receive(db.pool(), "a", &not_sent("PR#1")).await;
    receive(db.pool(), "b", &not_sent("PR#2")).await;
    receive(db.pool(), "c", &not_sent("PR#3")).await;
    receive(db.pool(), "d", "order_ref,tracking_no,dispatched_at,status\r\nPR#4,104,,not_sent\r\n").await;
    run_all(&db, outside.kinds()).await;
    is_over(&db, "the packer").await;
    let queue = "select external_order_id, processing_status, error_message from raw_ops.dispatch_import_queue order by 1";
    let found = rows(db.pool(), queue).await;
    assert_eq!(found[0], json!(["PR#1", "processed", null]));
    let fault = |found: &Value, place: usize| found[place][2].as_str().unwrap_or_default().to_owned();
    assert!(found[1][1] == "failed" && fault(&found, 1).contains("Shopify has not ended it"), "{found}");
    assert!(found[2][1] == "failed" && fault(&found, 2).contains("no order has this name"), "{found}");
    let tried = "select attempts from engine.dead_letter_queue where category = 'not_ready'";
    assert_eq!(rows(db.pool(), tried).await, json!([[2]]), "it may only be early");
    assert_eq!(count(db.pool(), "raw_ops.shipments").await, 0);
    // Also when a person sends the row on as it is.
    execute(db.pool(), "update raw_ops.dispatch_import_queue set processing_status = 'pending' where external_order_id = 'PR#4'").await;
    run_all(&db, outside.kinds()).await;
    let found = rows(db.pool(), queue).await;
    assert!(found[3][1] == "failed" && fault(&found, 3).contains("tracking_no says that it left"), "{found}");
}

/// Why the packer's word is not taken yet; category `not_ready`.
async fn early(db: &Database) -> String {
    let said = sqlx::query("select raw_ops.stop_order(id, 'the packer') from raw_ops.orders where order_number_label = '#1'");
    let error = said.execute(db.pool()).await.expect_err("it is early");
    let error = error.as_database_error().expect("the database refuses it");
    assert_eq!(error.code().as_deref(), Some("RW060"), "{error}");
    error.message().to_owned()
}

#[tokio::test]
async fn what_comes_before_the_export_is_known_or_the_order_is_ended_waits_and_a_refunded_order_ends_as_refunded() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    exported(&db, &outside).await;
    let becomes = async |what: &str| execute(db.pool(), &format!("update raw_ops.orders set {what} where order_number_label = '#1'")).await;
    becomes("export_state = 'queued'").await;
    assert!(early(&db).await.contains("not known yet whether the packer has it"));
    becomes("export_state = 'acked'").await;
    assert!(early(&db).await.contains("Shopify has not ended it"));
    becomes("notes_json = '{\"financial_status\": \"refunded\"}'").await;
    receive(db.pool(), "a", &not_sent("PR#1")).await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(stands(&db).await[0], json!(["#1", "REFUNDED", "stopped"]));
    assert_eq!(stock(&db).await, json!([14, 2, 0]));
    nothing_drifts(&db).await;
}

#[tokio::test]
async fn an_order_that_left_all_the_same_is_not_stopped_and_a_stopped_one_that_leaves_is_told() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    exported(&db, &outside).await;
    cancelled(&db).await;
    let at = (Utc::now() - Duration::hours(1)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    receive(db.pool(), "a", &file(&[["PR#1", "101", &at]])).await;
    run_all(&db, outside.kinds()).await;
    assert!(resolve(&db, "PR#1", "ada").await.is_err_and(|error| error.contains("has left as a parcel")));
    assert_eq!(stock(&db).await, json!([12, 2, 1]));
    // The other one is stopped first.
    execute(
        db.pool(),
        "update raw_ops.orders set notes_json = '{\"cancelled_at\": \"2026-03-29T01:00:02Z\"}' where order_number_label = '#2'",
    )
    .await;
    assert_eq!(resolve(&db, "PR#2", "ada").await, Ok("stopped".into()));
    receive(db.pool(), "b", &file(&[["PR#2", "102", AT]])).await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(parcels(&db).await, json!([["101", "DISPATCHED", "#1", "DISPATCHED"], ["102", "DISPATCHED", "#2", "CANCELLED"]]));
    let open = "select issue_type from raw_ops.exceptions_queue where not resolved order by 1";
    assert_eq!(rows(db.pool(), open).await, json!([["dispatch_unexpected"], ["dispatch_unexpected"], ["order_ended_late"]]));
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind = 'dispatch_without_stock'").await, 1, "its stock is free already");
    nothing_drifts(&db).await;
}

/// Both at once: one of them is first, and stock moves once.
#[tokio::test]
async fn a_parcel_and_a_stop_at_once_move_stock_once() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    exported(&db, &outside).await;
    cancelled(&db).await;
    receive(db.pool(), "a", &file(&[["PR#1", "101", AT]])).await;
    let stops = async {
        let mut said: Vec<Result<String, String>> = Vec::new();
        for _ in 0..4 {
            said.push(resolve(&db, "PR#1", "ada").await);
        }
        said
    };
    let (said, ()) = tokio::join!(stops, run_all(&db, outside.kinds()));
    let first: Value = rows(db.pool(), "select status from raw_ops.orders where order_number_label = '#1'").await[0][0].take();
    let left = first == "DISPATCHED";
    assert!(left || (first == "CANCELLED" && said[0] == Ok("stopped".into())), "{first}: {said:?}");
    assert_eq!(stock(&db).await, if left { json!([12, 2, 1]) } else { json!([14, 2, 0]) });
    nothing_drifts(&db).await;
}
