//! The views of the outbox and of the daily digest.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::stage::{ago, database, insert, row, stamp};

/// (minutes since it was created, minutes since it was sent, state, attempts)
const MESSAGES: [(i64, Option<i64>, &str, i64); 14] = [
    (5, None, "pending", 0),
    (700, None, "pending", 4),
    (3, Some(2), "sending", 1),
    (9000, None, "failed", 9),
    (80, None, "failed", 9),
    (60, Some(59), "unknown", 1),
    (90, None, "cancelled", 0),
    (20_000, Some(1439), "sent", 1),
    (20_000, Some(1440), "sent", 1),
    (20_000, Some(1441), "sent", 2),
    (30, Some(29), "sent", 1),
    (30, Some(-1), "sent", 1),
    (30, Some(0), "sent", 1),
    (30, None, "sent", 1),
];

fn has(state: &[&str]) -> impl Iterator<Item = &'static (i64, Option<i64>, &'static str, i64)> {
    MESSAGES.iter().filter(move |message| state.contains(&message.2))
}

async fn outbox_health(pool: &PgPool) -> Value {
    let columns = "pending, sending, failed, unknown, oldest_pending_at, most_attempts, sent_24h, last_sent_at,
        extract(epoch from oldest_age)::integer / 60 as oldest_minutes";
    row(pool, &format!("select {columns} from raw_ops.v_outbox_health")).await
}

#[tokio::test]
async fn the_health_of_the_outbox_is_what_its_messages_came_to() {
    let db = database().await;
    for (number, (created, sent, state, attempts)) in MESSAGES.into_iter().enumerate() {
        let fields = json!({
            "target": "customerio", "event_type": "order_confirmation_first", "payload_json": { "number": number }, "state": state,
            "attempts": attempts, "created_at": ago(created), "last_sent_at": sent.map(ago),
        });
        insert(db.pool(), "outbox", fields).await;
    }
    let unsent = ["pending", "sending"];
    let oldest = has(&unsent).map(|message| message.0).max().expect("some are unsent");
    let sent_in_a_day = has(&["sent"]).filter(|message| message.1.is_some_and(|sent| (0..1440).contains(&sent))).count();
    let last_sent = has(&["sent"]).filter_map(|message| message.1).min().expect("some were sent");
    assert_eq!(
        outbox_health(db.pool()).await,
        json!({
            "pending": has(&unsent).count(), "sending": has(&["sending"]).count(), "failed": has(&["failed"]).count(),
            "unknown": has(&["unknown"]).count(), "oldest_pending_at": stamp(ago(oldest)), "oldest_minutes": oldest,
            "most_attempts": has(&unsent).map(|message| message.3).max(),
            "sent_24h": sent_in_a_day, "last_sent_at": stamp(ago(last_sent)),
        })
    );
}

#[tokio::test]
async fn an_empty_outbox_has_one_row_of_nothing() {
    let db = database().await;
    assert_eq!(
        outbox_health(db.pool()).await,
        json!({
            "pending": 0, "sending": 0, "failed": 0, "unknown": 0, "oldest_pending_at": null, "oldest_minutes": null,
            "most_attempts": null, "sent_24h": 0, "last_sent_at": null,
        })
    );
}

async fn run(pool: &PgPool, check: &str, at: DateTime<Utc>, status: &str, error: Option<&str>) {
    let fields = json!({ "check_name": check, "run_at": at, "duration_ms": 17, "status": status, "error_message": error });
    insert(pool, "monitoring_runs", fields).await;
}

#[tokio::test]
async fn a_digest_without_success_for_a_day_and_an_hour_is_overdue() {
    let db = database().await;
    let health = || row(db.pool(), "select * from raw_ops.v_daily_snapshot_health");
    let never = health().await;
    assert_eq!((&never["last_run_at"], &never["runs_7d"], &never["is_overdue"]), (&json!(null), &json!(0), &json!(true)));

    run(db.pool(), "outbox_health", ago(1), "success", None).await;
    run(db.pool(), "daily_snapshot", ago(25 * 60), "success", None).await;
    run(db.pool(), "daily_snapshot", ago(7 * 1440 - 1), "error", Some("older")).await;
    run(db.pool(), "daily_snapshot", ago(7 * 1440), "error", Some("too old to count")).await;
    run(db.pool(), "daily_snapshot", ago(60), "error", Some("no database")).await;
    for (channel, check, delivery, minutes) in [
        ("daily-ops", "daily_snapshot", "sent", 25 * 60),
        ("daily-ops", "daily_snapshot", "failed", 60),
        ("ops-alerts", "daily_snapshot", "sent", 50),
        ("daily-ops", "stock_levels", "sent", 40),
    ] {
        let fields = json!({
            "channel": channel, "severity": "info", "title": "Daily operations", "source_check": check, "payload_json": {},
            "delivery_status": delivery, "sent_at": ago(minutes),
        });
        insert(db.pool(), "alert_log", fields).await;
    }
    let expected = |overdue: bool, success: DateTime<Utc>, runs: i64, last: Value| {
        json!({
            "last_run_at": last["at"], "last_status": last["status"], "last_duration_ms": 17, "last_error": last["error"],
            "last_success_at": stamp(success), "runs_7d": runs, "failed_7d": 2, "last_digest_at": stamp(ago(25 * 60)),
            "is_overdue": overdue,
        })
    };
    let failed = json!({ "at": stamp(ago(60)), "status": "error", "error": "no database" });
    assert_eq!(health().await, expected(true, ago(25 * 60), 3, failed));

    run(db.pool(), "daily_snapshot", ago(30), "success", None).await;
    let healthy = json!({ "at": stamp(ago(30)), "status": "success", "error": null });
    assert_eq!(health().await, expected(false, ago(30), 4, healthy));
}
