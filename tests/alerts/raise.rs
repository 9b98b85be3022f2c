//! One way to raise an alert, and the window in which it is not repeated.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{execute, raise};
use crate::support::{Database, clock, shelf::rows};

async fn log(db: &Database) -> Value {
    rows(db.pool(), "select channel, severity, delivery_status, repeats, is_recovery from raw_ops.alert_log order by sent_at, is_recovery")
        .await
}

#[tokio::test]
async fn the_severity_decides_the_channel() {
    let db = Database::new().await;
    for severity in ["info", "warning", "critical"] {
        assert_eq!(raise(db.pool(), severity, None).await, "queued");
    }
    assert_eq!(
        log(&db).await,
        json!([
            ["daily-ops", "info", "pending", 1, false],
            ["ops-alerts", "warning", "pending", 1, false],
            ["ops-urgent", "critical", "pending", 1, false]
        ])
    );
    let refused = sqlx::query("select raw_ops.raise_alert('loud', 'x', 'y')").execute(db.pool()).await.expect_err("no severity");
    assert!(refused.to_string().contains("severity is loud, and must be info, warning or critical"), "{refused}");
}

#[tokio::test]
async fn an_alert_is_quiet_for_a_window_and_then_told_with_its_count() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    assert_eq!(raise(db.pool(), "warning", Some("k")).await, "queued");
    assert_eq!(raise(db.pool(), "warning", Some("k")).await, "joined");
    assert_eq!(raise(db.pool(), "warning", Some("other")).await, "queued");
    execute(db.pool(), "select raw_ops.settle_alert(id, repeats, null) from raw_ops.alert_log").await;
    for _ in 0..3 {
        clock::step(db.pool(), 60.0).await;
        assert_eq!(raise(db.pool(), "warning", Some("k")).await, "suppressed");
    }
    execute(db.pool(), "select raw_ops.release_alerts()").await;
    let quiet = json!([
        ["ops-alerts", "warning", "sent", 2, false],
        ["ops-alerts", "warning", "sent", 1, false],
        ["ops-alerts", "warning", "suppressed", 3, false]
    ]);
    assert_eq!(log(&db).await, quiet, "the window is not over");
    clock::step(db.pool(), 15.0 * 60.0).await;
    execute(db.pool(), "select raw_ops.release_alerts()").await;
    assert_eq!(log(&db).await[2], json!(["ops-alerts", "warning", "pending", 3, false]));
    execute(db.pool(), "select raw_ops.settle_alert(id, repeats, null) from raw_ops.alert_log where delivery_status = 'pending'").await;
    clock::step(db.pool(), 16.0 * 60.0).await;
    assert_eq!(raise(db.pool(), "warning", Some("k")).await, "queued", "it is long over");
}

#[tokio::test]
async fn what_gets_worse_is_told_at_once() {
    let db = Database::new().await;
    raise(db.pool(), "warning", Some("k")).await;
    execute(db.pool(), "select raw_ops.settle_alert(id, repeats, null) from raw_ops.alert_log").await;
    assert_eq!(raise(db.pool(), "warning", Some("k")).await, "suppressed");
    assert_eq!(raise(db.pool(), "critical", Some("k")).await, "queued");
    assert_eq!(raise(db.pool(), "warning", Some("k")).await, "joined");
}

#[tokio::test]
async fn that_it_is_over_is_told_once_and_only_to_whom_was_alarmed() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    let clear = || async {
        clock::step(db.pool(), 1.0).await;
        let id: Option<uuid::Uuid> =
            sqlx::query_scalar("select raw_ops.clear_alert('k', 'Stock', 'enough')").fetch_one(db.pool()).await.expect("it may be asked");
        id.is_some()
    };
    assert!(!clear().await, "nothing was raised");
    raise(db.pool(), "critical", Some("k")).await;
    execute(db.pool(), "select raw_ops.settle_alert(id, repeats, null) from raw_ops.alert_log").await;
    assert!(clear().await);
    assert!(!clear().await, "once");
    assert_eq!(log(&db).await[1], json!(["ops-urgent", "info", "pending", 1, true]));
    // What comes and goes within the window wakes nobody.
    clock::step(db.pool(), 1.0).await;
    assert_eq!(raise(db.pool(), "critical", Some("k")).await, "suppressed");
    assert!(!clear().await);
    clock::step(db.pool(), 16.0 * 60.0).await;
    execute(db.pool(), "select raw_ops.release_alerts()").await;
    assert_eq!(log(&db).await[2][2], "suppressed", "it was over before the window was");
}

#[tokio::test]
async fn a_crowd_that_raises_one_alert_raises_it_once() {
    let db = Database::new().await;
    let raised = join_all((0..16).map(|_| raise(db.pool(), "warning", Some("k")))).await;
    assert_eq!(raised.iter().filter(|outcome| *outcome == "queued").count(), 1);
    assert_eq!(log(&db).await, json!([["ops-alerts", "warning", "pending", 16, false]]));
}
