//! What every monitor answers.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::orders::inbox::{count, execute};
use crate::support::{Database, shelf::message};

/// The checks by the names they are called by, and their functions.
pub const MONITORS: [(&str, &str); 7] = [
    ("order_ingestion_slo", "fn_check_order_ingestion_slo_v2"),
    ("outbox_health", "fn_check_outbox_health_v2"),
    ("stock_levels", "fn_check_stock_levels_v2"),
    ("lab_sla", "fn_check_lab_sla_v2"),
    ("daily_snapshot", "fn_daily_snapshot_v2"),
    ("working_capital", "fn_check_working_capital_v2"),
    ("support_queue", "fn_check_support_queue_v2"),
];

/// What a monitor says now.
pub async fn look(db: &Database, check: &str) -> Value {
    let (_, function) = MONITORS.iter().find(|(name, _)| *name == check).expect("a check");
    sqlx::query_scalar(AssertSqlSafe(format!("select raw_ops.{function}()"))).fetch_one(db.pool()).await.expect("the monitor answers")
}

#[tokio::test]
async fn every_monitor_answers_in_one_shape_and_a_quiet_house_alerts_nobody() {
    let db = Database::new().await;
    let keys: BTreeSet<_> = ["alert_triggered", "channel", "check", "fields", "message", "metrics", "severity", "status", "title"].into();
    for (check, _) in MONITORS {
        let answer = look(&db, check).await;
        let object = answer.as_object().expect("an object");
        assert_eq!(object.keys().map(String::as_str).collect::<BTreeSet<_>>(), keys, "{check}");
        assert_eq!(answer["check"], check);
        assert_eq!((&answer["status"], &answer["severity"]), (&json!("ok"), &json!("info")), "{check}: {answer}");
        let digest = check == "daily_snapshot";
        assert_eq!(answer["alert_triggered"], json!(digest), "{check}");
        assert_eq!(answer["channel"], if digest { json!("daily-ops") } else { Value::Null }, "{check}");
        for field in answer["fields"].as_array().expect("fields") {
            assert!(field["label"].is_string() && field["value"].is_string() && field["inline"] == json!(true), "{check}: {field}");
        }
        assert_eq!(answer["fields"].as_array().expect("fields").len(), answer["metrics"].as_object().expect("metrics").len(), "{check}");
    }
    assert_eq!(count(db.pool(), "raw_ops.monitoring_runs").await + count(db.pool(), "raw_ops.alert_log").await, 0, "they only look");
}

#[tokio::test]
async fn a_limit_that_is_missing_is_an_error_and_no_silence() {
    let db = Database::new().await;
    execute(db.pool(), "delete from raw_ops.config where key = 'outbox.max_pending'").await;
    let answer = sqlx::query("select raw_ops.fn_check_outbox_health_v2()").execute(db.pool()).await;
    assert_eq!(
        message(&answer.expect_err("no limit")),
        "the setting outbox.max_pending has no number: set value_numeric of its row in raw_ops.config"
    );
}
