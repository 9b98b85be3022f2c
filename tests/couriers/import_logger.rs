//! A log of temperature says whether its parcel stayed cold; it is taken once, and a breach is told once.

use std::time::Duration;

use engine::JobId;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;
use web::{api::Scope, functions::import_temperature_log::PATH};

use super::record_event::{NUMBER, parcel};
use crate::api::{Api, answer, refusal};
use crate::orders::inbox::{count, execute, row};
use crate::support::{Database, Outside, run_all, shelf::rows, wait::until};

/// The parcel left at seven and arrived at nine.
async fn delivered(pool: &PgPool) {
    parcel(pool).await;
    let times = "update raw_ops.shipments set dispatched_at = '2026-01-15 07:00Z', delivered_at = '2026-01-15 09:00Z'";
    execute(pool, times).await;
}

/// A log of the way, a reading each half hour, which goes on in a warm kitchen.
fn log(values: &[f64]) -> String {
    let all = values.iter().chain(&[21.0, 21.5]).enumerate();
    let rows: Vec<String> = all.map(|(n, value)| format!("2026-01-15 {:02}:{:02}:00,{value}\n", 7 + n / 2, n % 2 * 30)).collect();
    format!("Serial,1\nDate Time (UTC),Temp (°C)\n{}", rows.concat())
}

const COLD: [f64; 5] = [-18.4, -17.0, -16.0, -15.5, -14.9];
const WARM: [f64; 5] = [-18.4, -6.0, 2.0, 6.5, 4.0];

/// Puts a log into the inbox as the function of the web does.
async fn store(pool: &PgPool, about: &Value, text: &str) -> (Uuid, String) {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(format!("{about}{text}"));
    sqlx::query_as("select inbox_id, outcome from raw_ops.store_temperature_log($1, '{}', $2, $3)")
        .bind(about.to_string())
        .bind(text.as_bytes())
        .bind(&digest[..])
        .fetch_one(pool)
        .await
        .expect("the inbox takes any file")
}

fn about(position: &str) -> Value {
    json!({ "tracking_no": NUMBER, "logger_id": "LOG-0042", "position": position })
}

/// A parcel, and the log of a warm way in the inbox.
pub async fn too_warm(pool: &PgPool) {
    delivered(pool).await;
    store(pool, &about("core"), &log(&WARM)).await;
}

async fn audit(db: &Database) -> Value {
    rows(
        db.pool(),
        "select a.arrival_core_celsius::float8, a.arrival_corner_celsius::float8, a.pass_class, s.courier_temp_compliance
         from raw_ops.temperature_audits a join raw_ops.shipments s on s.id = a.shipment_id",
    )
    .await
}

#[tokio::test]
async fn the_way_is_judged_and_each_logger_of_a_box_has_its_column() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    delivered(db.pool()).await;
    let (_, first) = store(db.pool(), &about("core"), &log(&COLD)).await;
    let (_, again) = store(db.pool(), &about("core"), &log(&COLD)).await;
    assert_eq!((first.as_str(), again.as_str()), ("enqueued", "duplicate"));
    run_all(&db, outside.kinds()).await;
    assert_eq!(audit(&db).await, json!([[-14.9, null, "PASS", "COMPLIANT"]]));
    let kept = "select min_temp_c::float8, max_temp_c::float8, avg_temp_c::float8, time_above_5c_minutes, trip_duration_hours::float8,
                    cold_chain_intact, breach_detected, breach_details, jsonb_array_length(readings), logger_id
                from raw_ops.temperature_logger_data";
    assert_eq!(rows(db.pool(), kept).await, json!([[-18.4, -14.9, -16.36, 0, 2, true, false, null, 7, "LOG-0042"]]));
    store(db.pool(), &about("corner"), &log(&WARM)).await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(audit(&db).await, json!([[-14.9, 4, "FAIL", "BREACH"]]));
    // One box is one case, whichever of its loggers tells.
    store(db.pool(), &about("core"), &log(&WARM)).await;
    run_all(&db, outside.kinds()).await;
    let cases = rows(db.pool(), "select issue_type, issue_description from raw_ops.exceptions_queue").await;
    let words = "above -5 °C for 75 minutes from 2026-01-15 08:00 on, at most 6.5 °C";
    assert_eq!(cases, json!([["temperature_breach", words]]));
    let told = rows(db.pool(), "select severity, title, repeats from raw_ops.alert_log").await;
    assert_eq!(told, json!([["critical", "A parcel was too warm", 1]]));
    let noted = "select kind, count(*) from raw_ops.ops_events where kind like 'TEMPERATURE%' group by 1 order by 1";
    assert_eq!(rows(db.pool(), noted).await, json!([["TEMPERATURE_ALERT", 2], ["TEMPERATURE_LOGGED", 1]]));
}

#[tokio::test]
async fn a_logger_that_was_switched_on_days_before_its_parcel_left_finds_it_and_not_an_older_one() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    delivered(db.pool()).await;
    let older = format!(
        "insert into raw_ops.shipments (order_id, tracking_no, status, courier, created_at, dispatched_at, delivered_at)
         select id, '{NUMBER}', 'DELIVERED', 'DPD', '2025-12-01 12:00Z', '2025-12-02 07:00Z', '2025-12-02 09:00Z' from raw_ops.orders"
    );
    execute(db.pool(), &older).await;
    let days_before = log(&COLD).replacen("2026-01-15 07:00:00", "2026-01-12 20:00:00,-18.4\n2026-01-15 07:00:00", 1);
    store(db.pool(), &about("core"), &days_before).await;
    run_all(&db, outside.kinds()).await;
    let told = "select s.dispatched_at = '2026-01-15 07:00Z', d.cold_chain_intact, d.trip_duration_hours::float8
                from raw_ops.temperature_logger_data d join raw_ops.shipments s on s.id = d.shipment_id";
    assert_eq!(rows(db.pool(), told).await, json!([[true, true, 2]]));
}

#[tokio::test]
async fn what_is_tolerated_is_a_setting_and_a_way_that_is_not_in_the_log_is_looked_at() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    delivered(db.pool()).await;
    execute(db.pool(), "update raw_ops.config set value_numeric = 90 where key = 'cold_chain.tolerated_minutes'").await;
    store(db.pool(), &about("core"), &log(&WARM)).await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(audit(&db).await, json!([[4, null, "REVIEW", "UNKNOWN"]]));
    execute(db.pool(), "update raw_ops.shipments set dispatched_at = '2026-01-17 07:00Z', delivered_at = '2026-01-17 09:00Z'").await;
    let (other, _) = store(db.pool(), &about("core"), &log(&COLD)).await;
    run_all(&db, outside.kinds()).await;
    let kept = row(
        db.pool(),
        &format!("select cold_chain_intact, max_temp_c, breach_details from raw_ops.temperature_logger_data where inbox_id = '{other}'"),
    )
    .await;
    assert_eq!((&kept["cold_chain_intact"], &kept["max_temp_c"]), (&Value::Null, &Value::Null));
    assert!(kept["breach_details"].as_str().is_some_and(|words| words.contains("no reading falls into the trip")), "{kept}");
    assert_eq!(count(db.pool(), "raw_ops.exceptions_queue").await, 0);
}

#[tokio::test]
async fn a_log_waits_for_its_parcel_and_what_is_none_fails_with_its_reason() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    execute(db.pool(), "update raw_ops.retry_config set backoff_seconds = '{0}', max_attempts = 3 where error_category = 'not_ready'")
        .await;
    store(db.pool(), &about("core"), &log(&COLD)).await;
    store(db.pool(), &about("core"), "hello").await;
    run_all(&db, outside.kinds()).await;
    let failed = "select error_category, last_error from raw_ops.webhook_inbox where processing_status = 'failed' order by 1";
    assert_eq!(
        rows(db.pool(), failed).await,
        json!([["not_ready", "no parcel has the number that the log is for"], ["validation", "no line names a time and a temperature"]])
    );
    delivered(db.pool()).await;
    let long_ago = "update raw_ops.webhook_inbox set last_error_at = now() - interval '1 h', received_at = now() - interval '1 h', updated_at = now() - interval '1 h'";
    execute(db.pool(), long_ago).await;
    let again: i64 =
        sqlx::query_scalar("select count(*) from raw_ops.retry_failed_webhooks()").fetch_one(db.pool()).await.expect("retried");
    assert_eq!(again, 1, "what is no log is left to a person");
    run_all(&db, outside.kinds()).await;
    assert_eq!(audit(&db).await, json!([[-14.9, null, "PASS", "COMPLIANT"]]));
}

/// What the kitchen warmed is no breach, and nobody knows where the way ended until the arrival is scanned.
#[tokio::test]
async fn a_log_waits_for_the_arrival_and_fails_nothing_when_none_is_told() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    delivered(db.pool()).await;
    execute(db.pool(), "update raw_ops.shipments set delivered_at = null").await;
    store(db.pool(), &about("core"), &log(&COLD)).await;
    tokio::join!(run_all(&db, outside.kinds()), async {
        let waits = "engine.attempt a join engine.scheduled s on s.job_id = a.job_id where a.outcome = 'snoozed'";
        until("the log waits", Duration::from_secs(20), async || count(db.pool(), waits).await == 1).await;
        assert_eq!(count(db.pool(), "raw_ops.temperature_audits").await, 0);
        assert_eq!(count(db.pool(), "raw_ops.v_retry_queue_depth where depth > 0").await, 0, "it keeps no order waiting");
        execute(db.pool(), "update raw_ops.shipments set delivered_at = '2026-01-15 09:00Z'").await;
        execute(db.pool(), "update engine.scheduled set run_at = engine.now()").await;
    });
    assert_eq!(audit(&db).await, json!([[-14.9, null, "PASS", "COMPLIANT"]]));
    execute(db.pool(), "update raw_ops.shipments set delivered_at = null").await;
    let (old, _) = store(db.pool(), &about("core"), &log(&WARM)).await;
    execute(db.pool(), &format!("update raw_ops.webhook_inbox set received_at = now() - interval '49 hours' where id = '{old}'")).await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(audit(&db).await, json!([[21.5, null, "REVIEW", "UNKNOWN"]]));
    assert_eq!(count(db.pool(), "raw_ops.exceptions_queue").await, 0);
}

/// The crash matrix: all is one commit, so the worker stops before it or after it.
#[tokio::test]
async fn stopped_before_or_after_its_commit_the_log_is_taken_once() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    too_warm(db.pool()).await;
    let save =
        "select raw_ops.save_temperature_log(w.id, s.id, '[]', '{}', 'FAIL', 'too warm') from raw_ops.webhook_inbox w, raw_ops.shipments s
                where w.source = 'logger'";
    let mut tx = db.pool().begin().await.expect("a transaction");
    sqlx::query(save).execute(&mut *tx).await.expect("it is sound");
    tx.rollback().await.expect("the worker is gone");
    for _ in 0..2 {
        run_all(&db, outside.kinds()).await;
        assert_eq!(count(db.pool(), "raw_ops.temperature_logger_data").await, 1);
        assert_eq!(count(db.pool(), "raw_ops.exceptions_queue").await, 1);
        assert_eq!(crate::alerts::told(&outside).len(), 1);
        execute(db.pool(), "update raw_ops.webhook_inbox set processing_status = 'retrying' where source = 'logger'").await;
    }
    run_all(&db, outside.kinds()).await;
}

#[tokio::test]
async fn the_function_takes_a_file_for_a_parcel_from_callers_with_the_scope() {
    let api = Api::start(&[Scope::Functions]).await;
    let pool = api.edge.pool();
    delivered(pool).await;
    let post = async |query: &str, kind: &str| {
        let request = api.request(reqwest::Method::POST, &format!("{PATH}?{query}"));
        answer(request.header("content-type", kind).body(log(&COLD))).await
    };
    let fine = format!("tracking_no={NUMBER}&logger_id=LOG-0042");
    let (status, taken) = post(&fine, "text/csv; charset=utf-8").await;
    assert_eq!((status, &taken["outcome"]), (202, &json!("enqueued")));
    assert_eq!(post(&fine, "text/csv").await, (202, json!({ "inbox_id": taken["inbox_id"], "outcome": "duplicate" })));
    assert_eq!(post(&format!("{fine}&position=corner"), "text/csv").await.1["outcome"], "enqueued");
    let jobs: Vec<JobId> =
        sqlx::query_scalar("select id from engine.job_state where kind = 'couriers.import_logger'").fetch_all(pool).await.expect("jobs");
    assert_eq!(jobs.len(), 2);
    for (query, why) in [
        ("logger_id=x", "name the parcel"),
        ("tracking_no=1&shipment_id=00000000-0000-0000-0000-000000000000&logger_id=x", "name the parcel"),
        ("tracking_no=1", "missing field `logger_id`"),
        ("tracking_no=%00&logger_id=x", "1 to 64 bytes"),
        ("tracking_no=1&logger_id=", "1 to 64 bytes"),
        ("tracking_no=1&logger_id=x&position=lid", "unknown variant"),
        ("tracking_no=1&logger_id=x&colour=red", "unknown field"),
        ("shipment_id=7&logger_id=x", "shipment_id"),
    ] {
        let refusal = refusal(post(query, "text/csv").await, 422);
        assert!(refusal.contains(why), "{query}: {refusal}");
    }
    refusal(post(&fine, "application/json").await, 415);
    run_all(api.edge.database(), Outside::start().await.kinds()).await;
    assert_eq!(audit(api.edge.database()).await, json!([[-14.9, -14.9, "PASS", "COMPLIANT"]]));
    let stranger = Api::start(&[Scope::JobsWrite]).await;
    assert!(refusal(stranger.post(&format!("{PATH}?{fine}"), &json!({})).await, 403).contains("lacks the scope functions"));
}
