//! What a row makes of an order, in whatever state that is, and when many come at once.

use chrono::{Duration, Utc};
use engine::Kinds;
use jobs::dispatch::{ImportDispatch, ReadFile};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{books_balance, exported, file, parcels, queue, receive, stock};
use crate::couriers::record_event as scans;
use crate::orders::inbox::{count, execute};
use crate::support::{Database, Outside, drain::run_kinds, run_all, shelf::rows};

const AT: &str = "2026-01-14 16:05:00";

#[tokio::test]
async fn an_order_in_two_parcels_gives_its_stock_once_and_scans_find_both() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    exported(&db, &outside, 1).await;
    receive(db.pool(), "a", &file(&[["PR#1", "101", AT], ["PR#1", "102", AT]])).await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(parcels(&db).await, json!([["101", "DISPATCHED", "#1", "DISPATCHED"], ["102", "DISPATCHED", "#1", "DISPATCHED"]]));
    assert_eq!(stock(&db).await, json!([10, 0, 1]));
    for (number, at) in [("101", "2026-01-14 09:00:00"), ("102", "2026-01-15 09:00:00")] {
        let found = format!("select raw_ops.parcel_of('{number}', raw_ops.courier_time('{at}')) is not null as found");
        assert_eq!(rows(db.pool(), &found).await, json!([[true]]));
        let advance =
            format!("select raw_ops.advance_shipment(id, 'DELIVERED', now()) from raw_ops.shipments where tracking_no = '{number}'");
        execute(db.pool(), &advance).await;
    }
    // A row that comes after the parcel has arrived undoes nothing, and the number may be used again.
    receive(db.pool(), "b", &file(&[["PR#1", "101", "2026-01-14 17:00:00"]])).await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(parcels(&db).await, json!([["101", "DELIVERED", "#1", "DELIVERED"], ["102", "DELIVERED", "#1", "DELIVERED"]]));
    books_balance(&db).await;
    let at = "select raw_ops.courier_time('2026-07-14t16:05:00z') = '2026-07-14 16:05+00' as utc";
    assert_eq!(rows(db.pool(), at).await, json!([[true]]));
}

#[tokio::test]
async fn what_left_although_the_order_had_ended_is_a_parcel_and_an_exception() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    exported(&db, &outside, 3).await;
    execute(db.pool(), "update raw_ops.orders set status = 'CANCELLED' where order_number_label = '#1'").await;
    execute(db.pool(), "select raw_ops.tell_of_late_end(id, 'cancelled', null) from raw_ops.orders where order_number_label = '#3'").await;
    receive(db.pool(), "a", &file(&[["PR#1", "101", AT], ["PR#2", "102", AT], ["PR#3", "103", AT]])).await;
    run_all(&db, outside.kinds()).await;
    let left = |number: &str, label: &str, of_order: &str| json!([number, "DISPATCHED", label, of_order]);
    let expected = json!([left("101", "#1", "CANCELLED"), left("102", "#2", "DISPATCHED"), left("103", "#3", "DISPATCHED")]);
    assert_eq!(parcels(&db).await, expected);
    let told = "select issue_type, issue_description, shipment_id is not null as of_parcel from raw_ops.exceptions_queue order by 1, 2";
    let expected = json!([
        ["dispatch_unexpected", "The packer sent order PR#1, which is CANCELLED", true],
        ["dispatch_unexpected", "The packer sent order PR#3, which Shopify has ended", true],
        ["order_ended_late", "cancelled", false],
    ]);
    assert_eq!(rows(db.pool(), told).await, expected);
    assert_eq!(
        count(db.pool(), "raw_ops.alert_log where idempotency_key = 'dispatch unexpected' and delivery_status <> 'suppressed'").await,
        1
    );
}

/// Scans that came before the packer's file wait in the inbox for their parcel.
#[tokio::test]
async fn nobody_is_told_that_a_parcel_has_left_whose_arrival_was_scanned_before_the_file_came() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    exported(&db, &outside, 3).await;
    execute(db.pool(), "insert into raw_ops.customers (email) values ('ann@example.com')").await;
    execute(db.pool(), "update raw_ops.orders set customer_id = (select id from raw_ops.customers limit 1)").await;
    let hours_ago = |hours| (Utc::now() - Duration::hours(hours)).format("%Y-%m-%d %H:%M:%S").to_string();
    for (number, code) in [("101", "001"), ("102", "009")] {
        let scan = json!({ "tracking_no": number, "event_code": code, "event_time": hours_ago(1) });
        let inbox_id = scans::receive(db.pool(), &scan).await;
        let outcome: String = sqlx::query_scalar("select outcome from raw_ops.process_courier_event_txn($1)")
            .bind(inbox_id)
            .fetch_one(db.pool())
            .await
            .expect("a scan");
        assert_eq!(outcome, "waiting");
    }
    scans::receive(db.pool(), &json!({ "tracking_no": "103", "event_code": "001", "event_time": "soon" })).await;
    let at = hours_ago(20);
    receive(db.pool(), "a", &file(&[["PR#1", "101", &at], ["PR#2", "102", &at], ["PR#3", "103", &at]])).await;
    run_kinds(&db, Kinds::new().with::<ReadFile>().with::<ImportDispatch>()).await;
    let told = "select payload_json #>> '{message_data,tracking_no}' from raw_ops.outbox where event_type = 'order_dispatched' order by 1";
    assert_eq!(rows(db.pool(), told).await, json!([["102"], ["103"]]));
    run_all(&db, outside.kinds()).await;
    assert_eq!(parcels(&db).await[0][1], "DELIVERED");
    assert_eq!(rows(db.pool(), told).await, json!([["102"], ["103"]]));
}

#[tokio::test]
async fn a_row_without_a_number_makes_no_parcel_before_it_is_mended() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    exported(&db, &outside, 1).await;
    receive(db.pool(), "a", &file(&[["PR#1", "", AT]])).await;
    run_all(&db, outside.kinds()).await;
    execute(db.pool(), "update raw_ops.dispatch_import_queue set processing_status = 'pending'").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(parcels(&db).await, json!([]));
    assert_eq!(queue(&db).await[0][1], "failed");
    assert_eq!(count(db.pool(), "raw_ops.dispatch_import_queue where error_message like '%tracking_no is missing%'").await, 1);
    let mend = "dispatch_data = dispatch_data || '{\"tracking_no\": \"101\"}', processing_status = 'pending'";
    execute(db.pool(), &format!("update raw_ops.dispatch_import_queue set {mend}")).await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(parcels(&db).await, json!([["101", "DISPATCHED", "#1", "DISPATCHED"]]));
}

#[tokio::test]
async fn a_parcel_that_many_rows_tell_of_at_once_is_one() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    exported(&db, &outside, 1).await;
    let document = format!(
        r#"{{"order_ref": "PR#1", "tracking_no": "101", "dispatched_at": "{AT}", "temperature_c": "-18.5", "coolant_units": "3"}}"#
    );
    execute(db.pool(), &format!("insert into raw_ops.dispatch_import_queue (external_order_id, dispatch_data) select 'PR#1', '{document}' from generate_series(1, 12)")).await;
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar("select id from raw_ops.dispatch_import_queue").fetch_all(db.pool()).await.expect("rows");
    let mut at_once = JoinSet::new();
    for id in ids {
        let pool = db.pool().clone();
        at_once.spawn(async move {
            let done: Result<String, _> =
                sqlx::query_scalar("select outcome from raw_ops.process_dispatch_txn($1)").bind(id).fetch_one(&pool).await;
            done.expect("none fails")
        });
    }
    let mut outcomes = Vec::new();
    while let Some(outcome) = at_once.join_next().await {
        outcomes.push(outcome.expect("no panic"));
    }
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "dispatched").count(), 1, "{outcomes:?}");
    assert_eq!((parcels(&db).await.as_array().map(Vec::len), stock(&db).await), (Some(1), json!([10, 0, 1])));
    let kept = "select dispatch_temp_recorded, coolant_units_used from raw_ops.shipments";
    assert_eq!(rows(db.pool(), kept).await, json!([[-18.5, 3]]));
    run_all(&db, outside.kinds()).await;
    assert_eq!(queue(&db).await.as_array().map(Vec::len), Some(12));
    books_balance(&db).await;
}

/// Mails that a parcel has left: the number and the address.
async fn told(db: &Database) -> Value {
    let query = "select payload_json -> 'message_data' ->> 'tracking_no', payload_json ->> 'to', state from raw_ops.outbox
        where event_type = 'order_dispatched' order by 1";
    rows(db.pool(), query).await
}

#[tokio::test]
async fn the_customer_hears_once_that_a_parcel_has_left_and_nobody_of_what_should_not_have() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    exported(&db, &outside, 4).await;
    for statement in [
        "insert into raw_ops.customers (email, first_name) values ('ann@example.com', 'Ann')",
        "update raw_ops.orders set customer_id = (select id from raw_ops.customers) where order_number_label <> '#3'",
        "update raw_ops.orders set status = 'CANCELLED' where order_number_label = '#2'",
    ] {
        execute(db.pool(), statement).await;
    }
    let hours_ago = |hours| (chrono::Utc::now() - chrono::TimeDelta::hours(hours)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (today, long_ago) = (hours_ago(3), hours_ago(72));
    let left = [
        ["PR#1", "101", today.as_str()],
        ["PR#2", "102", &today],
        ["PR#3", "103", &today],
        ["PR#4", "104", &long_ago],
        ["PR#4", "105", &today],
    ];
    for (name, lines) in [("first", &left[..]), ("again", &left[..1])] {
        receive(db.pool(), name, &file(lines)).await;
        run_all(&db, outside.kinds()).await;
    }
    assert_eq!(told(&db).await, json!([["101", "ann@example.com", "sent"], ["105", "ann@example.com", "sent"]]));
    assert_eq!(outside.customerio.message_count(), 2);
    let mail = "select m.idempotency_key = 'dispatched ' || s.id, m.payload_json -> 'message_data' ->> 'order_number',
            m.payload_json -> 'message_data' ->> 'first_name'
        from raw_ops.outbox m join raw_ops.shipments s on s.id::text = m.payload_json ->> 'shipment_id' where s.tracking_no = '101'";
    assert_eq!(rows(db.pool(), mail).await, json!([[true, "#1", "Ann"]]));
}
