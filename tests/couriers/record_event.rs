//! Scans move a parcel forward, whenever and however often they come.

use std::fs;

use jobs::couriers::tracking_event::TrackingEvent;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::orders::inbox::{count, execute, paid, process, row};
use crate::support::{Database, run_all, shelf::rows};

pub const NUMBER: &str = "15500000000001";

/// A scan of the parcel.
pub fn scan(code: &Value, time: &str) -> Value {
    json!({ "tracking_no": NUMBER, "carrier": "DPD", "event_code": code, "event_text": "as DPD says", "event_time": time, "raw": {} })
}

/// Puts a scan into the inbox.
pub async fn receive(pool: &PgPool, document: &Value) -> Uuid {
    sqlx::query_scalar(
        "insert into raw_ops.webhook_inbox (source, topic, raw_headers, raw_payload, webhook_id)
         values ('courier', 'tracking/event', '{}', $1, gen_random_uuid()::text) returning id",
    )
    .bind(document)
    .fetch_one(pool)
    .await
    .expect("the inbox takes any document")
}

/// Writes a scan down; what came of it.
pub async fn told(pool: &PgPool, document: &Value) -> String {
    let inbox_id = receive(pool, document).await;
    sqlx::query_scalar("select outcome from raw_ops.process_courier_event_txn($1)").bind(inbox_id).fetch_one(pool).await.expect("a scan")
}

/// An order of which a parcel has left.
pub async fn parcel(pool: &PgPool) {
    process(pool, &paid()).await.expect("the order is sound");
    execute(
        pool,
        &format!(
            "insert into raw_ops.shipments (order_id, tracking_no, status, courier, created_at)
             select id, '{NUMBER}', 'DISPATCHED', 'DPD', '2026-01-14 12:00Z' from raw_ops.orders"
        ),
    )
    .await;
    execute(pool, "update raw_ops.orders set status = 'DISPATCHED'").await;
}

async fn stands(db: &Database) -> Value {
    let query = "select s.status, o.status as of_order from raw_ops.shipments s join raw_ops.orders o on o.id = s.order_id";
    let stands = row(db.pool(), query).await;
    json!([stands["status"], stands["of_order"]])
}

#[tokio::test]
async fn every_order_of_scans_ends_at_the_last_of_them() {
    let day = [
        (json!("000"), "2026-01-14 16:00:00"),
        (json!("009"), "2026-01-15 02:10:00"),
        (json!("004"), "2026-01-15 05:00:00"),
        (json!("015"), "2026-01-15 07:12:00"),
        (json!("001"), "2026-01-15 11:42:10"),
    ];
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 3, 1]] {
        let db = Database::new().await;
        parcel(db.pool()).await;
        for at in order {
            let (code, time) = &day[at];
            assert_eq!(told(db.pool(), &scan(code, time)).await, "recorded");
            assert_eq!(told(db.pool(), &scan(code, time)).await, "known", "exact repeats occur");
        }
        assert_eq!(stands(&db).await, json!(["DELIVERED", "DELIVERED"]), "{order:?}");
        assert_eq!(count(db.pool(), "raw_ops.courier_events").await, 5);
        let delivered = row(db.pool(), "select delivered_at = '2026-01-15 11:42:10Z' as then from raw_ops.shipments").await;
        assert_eq!(delivered, json!({ "then": true }));
    }
}

#[tokio::test]
async fn an_exception_is_left_by_a_later_scan_and_not_by_an_older_one() {
    let db = Database::new().await;
    parcel(db.pool()).await;
    execute(
        db.pool(),
        "insert into raw_ops.courier_event_mapping (courier_name, event_code, event_type, requires_customer_notification)
         values ('DPD', 'CARD', 'EXCEPTION', true), ('DPD', 'RTS', 'RETURNED', true)",
    )
    .await;
    for (code, time, expected) in [
        ("015", "2026-01-15T07:00:00Z", "OUT_FOR_DELIVERY"),
        ("CARD", "2026-01-15T10:00:00Z", "EXCEPTION"),
        ("009", "2026-01-15T09:00:00Z", "EXCEPTION"),
        ("009", "2026-01-16T09:00:00Z", "IN_TRANSIT"),
        ("CARD", "2026-01-16T08:00:00Z", "IN_TRANSIT"),
        ("RTS", "2026-01-17T08:00:00Z", "RETURNED"),
        ("015", "2026-01-18T08:00:00Z", "RETURNED"),
    ] {
        assert_eq!(told(db.pool(), &scan(&json!(code), time)).await, "recorded");
        assert_eq!(stands(&db).await, json!([expected, "DISPATCHED"]), "{code} {time}");
    }
    assert_eq!(count(db.pool(), "raw_ops.courier_events where requires_customer_notification and event_code in ('CARD', 'RTS')").await, 3);
}

#[tokio::test]
async fn a_code_that_nobody_mapped_is_kept_told_once_and_moves_nothing() {
    let db = Database::new().await;
    parcel(db.pool()).await;
    for (code, minute) in [(json!("777"), 1), (json!("777"), 2), (Value::Null, 3), (json!(""), 4)] {
        assert_eq!(told(db.pool(), &scan(&code, &format!("2026-01-15 07:{minute:02}:00"))).await, "recorded");
    }
    assert_eq!(stands(&db).await, json!(["DISPATCHED", "DISPATCHED"]));
    let kept =
        rows(db.pool(), "select event_code, event_type, requires_customer_notification from raw_ops.courier_events order by event_time")
            .await;
    assert_eq!(kept, json!([["777", "UNKNOWN", false], ["777", "UNKNOWN", false], ["NONE", "UNKNOWN", false], ["NONE", "UNKNOWN", false]]));
    assert_eq!(count(db.pool(), "raw_ops.alert_log where repeats = 1 and delivery_status = 'pending'").await, 2);
}

#[tokio::test]
async fn a_number_that_is_used_again_means_the_newest_parcel_that_was_there() {
    let db = Database::new().await;
    parcel(db.pool()).await;
    execute(db.pool(), "update raw_ops.shipments set status = 'DELIVERED'").await;
    execute(
        db.pool(),
        &format!("insert into raw_ops.shipments (order_id, tracking_no, status, created_at) select id, '{NUMBER}', 'DISPATCHED', '2026-04-01 12:00Z' from raw_ops.orders"),
    )
    .await;
    for (time, outcome) in [
        ("2026-01-15 07:00:00", "recorded"),
        ("2026-04-02 07:00:00", "recorded"),
        ("2027-04-02 07:00:00", "waiting"),
        ("2025-04-02 07:00:00", "waiting"),
    ] {
        assert_eq!(told(db.pool(), &scan(&json!("009"), time)).await, outcome, "{time}");
    }
    let status = rows(db.pool(), "select s.status, count(e.id) from raw_ops.shipments s join raw_ops.courier_events e on e.shipment_id = s.id group by s.id order by s.created_at").await;
    assert_eq!(status, json!([["DELIVERED", 1], ["IN_TRANSIT", 1]]));
}

#[tokio::test]
async fn a_time_without_a_zone_is_londons() {
    let db = Database::new().await;
    parcel(db.pool()).await;
    execute(db.pool(), "update raw_ops.shipments set created_at = '2026-07-01 12:00Z'").await;
    told(db.pool(), &scan(&json!("009"), "2026-07-02 07:00:00")).await;
    assert_eq!(count(db.pool(), "raw_ops.courier_events where event_time = '2026-07-02 06:00Z'").await, 1);
}

#[tokio::test]
async fn stopped_before_or_after_its_commit_the_job_leaves_the_same() {
    let db = Database::new().await;
    parcel(db.pool()).await;
    let inbox_id = receive(db.pool(), &scan(&json!("015"), "2026-01-15 07:00:00")).await;
    let mut tx = db.pool().begin().await.expect("a transaction");
    sqlx::query("select raw_ops.process_courier_event_txn($1)").bind(inbox_id).execute(&mut *tx).await.expect("it is sound");
    tx.rollback().await.expect("the worker is gone");
    assert_eq!(stands(&db).await, json!(["DISPATCHED", "DISPATCHED"]));
    for _ in 0..2 {
        run_all(&db, jobs::kinds()).await;
        assert_eq!(stands(&db).await, json!(["OUT_FOR_DELIVERY", "DISPATCHED"]));
        assert_eq!(count(db.pool(), "raw_ops.courier_events").await, 1);
        execute(db.pool(), "update raw_ops.webhook_inbox set processing_status = 'retrying' where source = 'courier'").await;
    }
    run_all(&db, jobs::kinds()).await;
}

#[tokio::test]
async fn a_scan_that_comes_before_its_parcel_waits_and_what_is_no_scan_is_named() {
    let db = Database::new().await;
    execute(db.pool(), "update raw_ops.retry_config set backoff_seconds = '{0}', max_attempts = 3 where error_category = 'not_ready'")
        .await;
    for document in [scan(&json!("009"), "2026-01-15 07:00:00"), json!({ "tracking_no": NUMBER }), scan(&json!("009"), "soon")] {
        receive(db.pool(), &document).await;
    }
    run_all(&db, jobs::kinds()).await;
    let reasons =
        rows(db.pool(), "select error_category, last_error from raw_ops.webhook_inbox where processing_status = 'failed' order by 2").await;
    assert_eq!(
        reasons,
        json!([
            ["validation", "event_time: expected a time, such as \"2026-01-15 11:42:10\""],
            ["validation", "missing field `event_time`"],
            ["not_ready", "no parcel has the number 15500000000001"]
        ])
    );
    parcel(db.pool()).await;
    execute(db.pool(), "update raw_ops.webhook_inbox set last_error_at = now() - interval '1 h', received_at = now() - interval '1 h', updated_at = now() - interval '1 h'").await;
    let again: i64 =
        sqlx::query_scalar("select count(*) from raw_ops.retry_failed_webhooks()").fetch_one(db.pool()).await.expect("retried");
    assert_eq!(again, 1);
    run_all(&db, jobs::kinds()).await;
    assert_eq!(stands(&db).await, json!(["IN_TRANSIT", "DISPATCHED"]));
}

/// The scans that were captured, where the collection of them is beside the project: newest first, as DPD gives them.
#[tokio::test]
async fn every_captured_scan_is_written_and_the_parcel_is_delivered() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/fixtures/dpd/parcel-events.json");
    let Ok(text) = fs::read_to_string(path) else { return };
    let captured: Value = serde_json::from_str(&text).expect("the scans are JSON");
    let db = Database::new().await;
    parcel(db.pool()).await;
    let scans = captured["poll_response"]["data"].as_array().expect("scans");
    for raw in scans {
        let document = json!({
            "tracking_no": NUMBER, "carrier": "DPD", "event_code": raw["eventCode"], "event_text": raw["eventText"],
            "event_time": raw["eventDate"], "raw": raw,
        });
        TrackingEvent::parse(&document).expect("the scan is sound");
        assert_eq!(told(db.pool(), &document).await, "recorded");
    }
    assert_eq!(stands(&db).await, json!(["DELIVERED", "DELIVERED"]));
    assert_eq!(count(db.pool(), "raw_ops.courier_events where event_type <> 'UNKNOWN'").await, scans.len() as i64);
}
