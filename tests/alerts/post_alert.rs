//! An alert's way into its channel.

use sandbox::Fault;
use serde_json::json;

use super::{execute, raise, told};
use crate::outbox::retry_at_once;
use crate::support::{Database, Outside, ledger, outside, run_all, shelf::rows};

#[tokio::test]
async fn an_alert_stands_in_the_channel_of_its_severity() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    for severity in ["info", "warning", "critical"] {
        raise(db.pool(), severity, None).await;
    }
    run_all(&db, outside.kinds()).await;
    let mut told = told(&outside);
    told.sort();
    let expected = [("daily-ops", "ℹ️ Stock: low"), ("ops-alerts", "⚠️ Stock: low"), ("ops-urgent", "🚨 Stock: low")];
    assert_eq!(told, expected.map(|(channel, text)| (channel.to_string(), text.to_string())));
    assert_eq!(rows(db.pool(), "select distinct delivery_status, delivery_response from raw_ops.alert_log").await, json!([["sent", "ok"]]));
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn an_alert_of_any_length_and_any_words_is_taken() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    execute(
        db.pool(),
        "select raw_ops.raise_alert('critical', repeat('<!channel> & ', 500), repeat('<b>&', 5000),
            (select jsonb_agg(jsonb_build_object('label', repeat('<', 300), 'value', repeat('&', 4000), 'inline', true)) from generate_series(1, 300)))",
    )
    .await;
    execute(db.pool(), "select raw_ops.raise_alert('warning', 'x', '', '\"no fields\"')").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!(told(&outside).len(), 2, "within every limit of Block Kit, which the sandbox checks");
}

#[tokio::test]
async fn a_channel_that_is_full_is_obeyed() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    retry_at_once(db.pool()).await;
    outside.slack.ask([Fault::RateLimited(1)]);
    raise(db.pool(), "warning", None).await;
    let begun = std::time::Instant::now();
    run_all(&db, outside.kinds()).await;
    assert!(begun.elapsed() >= std::time::Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(told(&outside).len(), 1);
    assert_eq!(rows(db.pool(), "select retry_count from raw_ops.alert_log").await, json!([[1]]));
}

#[tokio::test]
async fn every_fault_that_passes_is_outlived() {
    for fault in [Fault::Status(500), Fault::Status(503), Fault::Reset, Fault::LostReply, Fault::Garbage] {
        let (db, outside) = (Database::new().await, Outside::start().await);
        retry_at_once(db.pool()).await;
        outside.slack.ask([fault; 2]);
        raise(db.pool(), "warning", None).await;
        run_all(&db, outside.kinds()).await;
        assert!(!told(&outside).is_empty(), "{fault:?}: an alert is rather told twice than not at all");
        assert_eq!(rows(db.pool(), "select delivery_status, retry_count from raw_ops.alert_log").await, json!([["sent", 2]]), "{fault:?}");
    }
}

#[tokio::test]
async fn what_slack_refuses_for_good_fails_and_raises_no_alert_of_its_own() {
    for status in [400, 403, 404, 410] {
        let (db, outside) = (Database::new().await, Outside::start().await);
        outside.slack.ask([Fault::Status(status)]);
        raise(db.pool(), "warning", None).await;
        run_all(&db, outside.kinds()).await;
        assert_eq!(rows(db.pool(), "select delivery_status, retry_count from raw_ops.alert_log").await, json!([["failed", 1]]), "{status}");
        execute(db.pool(), "select engine.enqueue('alerts.report_failures', '{}', queue => 'alerts')").await;
        run_all(&db, outside.kinds()).await;
        assert!(told(&outside).is_empty(), "{status}");
    }
}

#[tokio::test]
async fn a_webhook_is_a_key_and_no_error_shows_it() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    retry_at_once(db.pool()).await;
    let mut settings = outside.settings();
    settings.slack.webhooks[0] = None;
    outside.slack.always(Some(Fault::Status(404)));
    raise(db.pool(), "warning", None).await;
    raise(db.pool(), "critical", None).await;
    run_all(&db, outside::with(&settings)).await;
    let words = rows(db.pool(), "select string_agg(delivery_response, ' ' order by channel) from raw_ops.alert_log").await.to_string();
    assert!(words.contains("SLACK_WEBHOOK_OPS_ALERTS is not set") && words.contains("no_service"), "{words}");
    assert!(!words.contains("SANDBOX") && !words.contains("127.0.0.1"), "{words}");
}
