//! A scan that somebody should hear of is told once, however often and late it comes.

use serde_json::{Value, json};
use sqlx::PgPool;

use super::record_event::{NUMBER, parcel, receive, scan, told};
use crate::orders::inbox::{count, execute, row};
use crate::support::{Database, Outside, run_all, shelf::rows};

/// A courier's codes as people map them.
const MAPPED: &str = "insert into raw_ops.courier_event_mapping (courier_name, event_code, event_type, requires_customer_notification,
        notification_template_id, customer_message_short, internal_priority)
    values ('DPD', 'CARD', 'EXCEPTION', true, 'delivery_exception', 'We could not deliver your box', 'high'),
           ('DPD', 'LOST', 'EXCEPTION', false, null, null, 'urgent'), ('DPD', 'RTS', 'RETURNED', true, null, null, null)";

/// A parcel on its way, at the date of the scans.
async fn under_way() -> (Database, Outside) {
    let (db, outside) = (Database::new().await, Outside::start().await);
    prepare(db.pool()).await;
    (db, outside)
}

async fn prepare(pool: &PgPool) {
    parcel(pool).await;
    execute(pool, MAPPED).await;
    execute(pool, "update raw_ops.shipments set created_at = now() - interval '2 days'").await;
}

/// A parcel on its way, and a scan that says that it is held up.
pub async fn held_up(pool: &PgPool) {
    prepare(pool).await;
    assert_eq!(comes(pool, "CARD", 0).await, "recorded");
}

/// A scan of so many hours ago.
async fn comes(pool: &PgPool, code: &str, hours: i64) -> String {
    let time = (chrono::Utc::now() - chrono::TimeDelta::hours(hours)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    told(pool, &scan(&json!(code), &time)).await
}

async fn cases(db: &Database) -> Value {
    rows(
        db.pool(),
        "select raw_data ->> 'event_code', issue_type, resolved, resolved_by from raw_ops.exceptions_queue order by resolved desc, 1",
    )
    .await
}

async fn alerts(db: &Database) -> Value {
    rows(db.pool(), "select severity, title, repeats from raw_ops.alert_log where source_check = 'couriers' order by severity desc, title")
        .await
}

#[tokio::test]
async fn an_exception_is_a_mail_a_case_and_an_alert_once() {
    let (db, outside) = under_way().await;
    let event = scan(&json!("CARD"), &chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string());
    for _ in 0..3 {
        receive(db.pool(), &event).await;
    }
    run_all(&db, outside.kinds()).await;
    assert_eq!(cases(&db).await, json!([["CARD", "courier_exception", false, null]]));
    assert_eq!(alerts(&db).await, json!([["warning", "A parcel is held up", 1]]));
    assert_eq!(crate::alerts::told(&outside).len(), 1);
    let mail = row(
        db.pool(),
        "select state, event_type, payload_json ->> 'to' as person, payload_json -> 'message_data' as data from raw_ops.outbox",
    )
    .await;
    assert_eq!(
        (&mail["state"], &mail["event_type"], &mail["data"]["tracking_no"]),
        (&json!("sent"), &json!("delivery_exception"), &json!(NUMBER))
    );
    assert_eq!(mail["data"]["message"], "We could not deliver your box");
    let customer = row(db.pool(), "select email from raw_ops.customers").await;
    assert_eq!((&mail["person"], outside.customerio.message_count()), (&customer["email"], 1));
    let noted = "select notification_channel, customer_notified_at is not null from raw_ops.courier_events";
    assert_eq!(rows(db.pool(), noted).await, json!([["email", true]]));
    // The arrival ends the case.
    comes(db.pool(), "001", -1).await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(cases(&db).await, json!([["CARD", "courier_exception", true, "system"]]));
}

#[tokio::test]
async fn the_scan_of_a_mail_that_was_sent_is_found_by_its_key_and_what_names_none_is_sent_all_the_same() {
    let (db, outside) = under_way().await;
    comes(db.pool(), "CARD", 0).await;
    run_all(&db, outside.kinds()).await;
    let mut tx = db.pool().begin().await.expect("a transaction");
    // A small table is read whole whenever that is possible at all.
    sqlx::query("set local enable_seqscan = off").execute(&mut *tx).await.expect("set");
    let mut read_whole = async |mail: &'static str| -> i64 {
        let scans = "select coalesce(pg_stat_get_xact_numscans('raw_ops.courier_events'::regclass), 0)";
        let before: i64 = sqlx::query_scalar(scans).fetch_one(&mut *tx).await.expect("counted");
        sqlx::query(mail).execute(&mut *tx).await.expect("the mail is sent");
        let after: i64 = sqlx::query_scalar(scans).fetch_one(&mut *tx).await.expect("counted");
        after - before
    };
    assert_eq!(read_whole("select raw_ops.mark_sent(id, null) from raw_ops.outbox").await, 0);
    assert_eq!(read_whole("select event_text from raw_ops.courier_events where id::text = 'of no scan'").await, 1, "it would be seen");
    let names_none = "update raw_ops.outbox set payload_json = jsonb_set(payload_json, '{courier_event_id}', to_jsonb(repeat('-', 36)))";
    read_whole(names_none).await;
    assert_eq!(read_whole("select raw_ops.mark_sent(id, null) from raw_ops.outbox").await, 0);
}

#[tokio::test]
async fn the_same_code_again_makes_no_second_mail_that_day_and_no_second_case_while_one_is_open() {
    let (db, outside) = under_way().await;
    for minutes in ["05", "10", "15"] {
        told(db.pool(), &scan(&json!("CARD"), &format!("{}T00:{minutes}:00Z", chrono::Utc::now().format("%Y-%m-%d")))).await;
    }
    run_all(&db, outside.kinds()).await;
    assert_eq!((outside.customerio.message_count(), cases(&db).await.as_array().map(Vec::len)), (1, Some(1)));
    let channels = "select notification_channel, count(*) from raw_ops.courier_events group by 1 order by 1";
    assert_eq!(rows(db.pool(), channels).await, json!([["email", 1], ["none", 2]]));
    execute(db.pool(), "update raw_ops.exceptions_queue set resolved = true, resolved_by = 'ada'").await;
    comes(db.pool(), "CARD", 30).await;
    run_all(&db, outside.kinds()).await;
    assert_eq!((outside.customerio.message_count(), cases(&db).await.as_array().map(Vec::len)), (2, Some(2)), "another day");
}

#[tokio::test]
async fn what_is_late_overtaken_or_about_nobody_is_mailed_to_nobody() {
    let (db, outside) = under_way().await;
    execute(db.pool(), "update raw_ops.shipments set created_at = now() - interval '9 days'").await;
    comes(db.pool(), "CARD", 60).await;
    comes(db.pool(), "LOST", 2).await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(cases(&db).await, json!([["CARD", "courier_exception", false, null], ["LOST", "courier_exception", false, null]]));
    assert_eq!(alerts(&db).await, json!([["warning", "A parcel is held up", 1], ["critical", "A parcel is held up", 1]]));
    comes(db.pool(), "001", 1).await;
    comes(db.pool(), "CARD", 3).await;
    run_all(&db, outside.kinds()).await;
    let last = "select output from engine.job_state where kind = 'couriers.handle_exception' order by id desc limit 1";
    assert_eq!(row(db.pool(), last).await["output"], json!({ "outcome": "overtaken", "mailed": false, "case": false }));
    assert_eq!(outside.customerio.message_count(), 0);
    assert_eq!(count(db.pool(), "raw_ops.outbox").await, 0);
}

#[tokio::test]
async fn a_parcel_that_comes_back_is_told_although_that_is_its_end() {
    let (db, outside) = under_way().await;
    execute(db.pool(), "update raw_ops.customers set email = null").await;
    comes(db.pool(), "RTS", 1).await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(cases(&db).await, json!([["RTS", "courier_exception", false, null]]));
    assert_eq!(alerts(&db).await, json!([["warning", "A parcel comes back", 1]]));
    assert_eq!(count(db.pool(), "raw_ops.outbox").await, 0, "nobody to tell");
}

/// The crash matrix: all is one commit, so the worker stops before it or after it.
#[tokio::test]
async fn stopped_before_or_after_its_commit_the_job_tells_once() {
    let (db, outside) = under_way().await;
    comes(db.pool(), "CARD", 1).await;
    let handle = "select raw_ops.handle_courier_event(id) from raw_ops.courier_events";
    let mut tx = db.pool().begin().await.expect("a transaction");
    sqlx::query(handle).execute(&mut *tx).await.expect("it is sound");
    tx.rollback().await.expect("the worker is gone");
    assert_eq!((count(db.pool(), "raw_ops.outbox").await, cases(&db).await), (0, json!([])));
    for _ in 0..2 {
        sqlx::query(handle).execute(db.pool()).await.expect("it is sound");
    }
    run_all(&db, outside.kinds()).await;
    assert_eq!((outside.customerio.message_count(), cases(&db).await.as_array().map(Vec::len)), (1, Some(1)));
    assert_eq!(alerts(&db).await, json!([["warning", "A parcel is held up", 1]]));
}
