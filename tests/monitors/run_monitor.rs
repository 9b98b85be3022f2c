//! Monitors run, are kept on record, and are heard of.

use std::time::Duration;

use engine::{Client, NewJob};
use jobs::monitors::{Check, RunMonitor};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use web::{api::Scope, functions::run_monitor::PATH};

use crate::alerts::told;
use crate::api::{Api, refusal};
use crate::orders::inbox::execute;
use crate::outbox::retry_at_once;
use crate::support::{Database, Outside, run_all, shelf::rows, wait};

const BACKLOG: &str = "insert into raw_ops.webhook_inbox (topic, raw_headers, raw_payload, processing_status, received_at)
    select 'orders/create', '{}', '{}', 'failed', now() from generate_series(1, 101)";

async fn run(db: &Database, outside: &Outside, check: Check) {
    Client::new(db.pool().clone()).enqueue(&NewJob::of(&RunMonitor { check }).expect("it serialises")).await.expect("enqueued");
    run_all(db, outside.kinds()).await;
}

async fn runs(db: &Database) -> Value {
    rows(
        db.pool(),
        "select check_name, status, alert_triggered, result_summary, error_message from raw_ops.monitoring_runs order by run_at",
    )
    .await
}

#[tokio::test]
async fn a_monitor_that_finds_something_is_heard_once_and_so_is_its_end() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let backlog = format!("begin; set local rawops.seeding = on; {BACKLOG}; commit");
    sqlx::raw_sql(AssertSqlSafe(backlog)).execute(db.pool()).await.expect("the statement is sound");
    for _ in 0..3 {
        run(&db, &outside, Check::OrderIngestionSlo).await;
    }
    assert_eq!(told(&outside).len(), 1, "{:?}", told(&outside));
    assert!(told(&outside)[0].1.contains("101 webhooks wait"), "{:?}", told(&outside));
    execute(db.pool(), "delete from raw_ops.webhook_inbox").await;
    for _ in 0..2 {
        run(&db, &outside, Check::OrderIngestionSlo).await;
    }
    assert_eq!(told(&outside).len(), 2, "{:?}", told(&outside));
    let kept = runs(&db).await;
    assert_eq!(kept.as_array().map(Vec::len), Some(5));
    assert_eq!((&kept[0][1], &kept[0][2], &kept[4][1], &kept[4][2]), (&json!("success"), &json!(true), &json!("success"), &json!(false)));
    let linked =
        rows(db.pool(), "select count(*) from raw_ops.alert_log a join raw_ops.monitoring_runs r on r.id = a.monitoring_run_id").await;
    assert!(linked[0][0].as_i64().is_some_and(|alerts| alerts > 0), "an alert names the run that raised it");
}

#[tokio::test]
async fn the_figures_of_a_day_are_told_once() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    for _ in 0..2 {
        run(&db, &outside, Check::DailySnapshot).await;
    }
    let told = told(&outside);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].1.contains("Daily operations"), "{told:?}");
    assert_eq!(rows(db.pool(), "select is_overdue, last_status from raw_ops.v_daily_snapshot_health").await, json!([[false, "success"]]));
}

#[tokio::test]
async fn a_monitor_that_cannot_look_says_so_and_takes_it_back_when_it_can() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    retry_at_once(db.pool()).await;
    execute(db.pool(), "create table kept as select * from raw_ops.config where key = 'outbox.max_pending'").await;
    execute(db.pool(), "delete from raw_ops.config where key = 'outbox.max_pending'").await;
    run(&db, &outside, Check::OutboxHealth).await;
    let kept = runs(&db).await;
    assert_eq!((&kept[0][0], &kept[0][1], &kept[0][3]), (&json!("outbox_health"), &json!("error"), &Value::Null));
    assert!(kept[0][4].as_str().is_some_and(|error| error.contains("outbox.max_pending has no number")), "{kept}");
    let first = told(&outside);
    assert_eq!(first.len(), 1, "however often it was tried: {first:?}");
    assert!(first[0].1.contains("cannot look"), "{first:?}");
    execute(db.pool(), "insert into raw_ops.config select * from kept").await;
    run(&db, &outside, Check::OutboxHealth).await;
    assert_eq!(told(&outside).len(), 2, "{:?}", told(&outside));
}

#[tokio::test]
async fn every_check_of_the_registry_runs() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    for check in Check::ALL {
        run(&db, &outside, check).await;
    }
    let names: Vec<&str> = super::shape::MONITORS.iter().map(|(name, _)| *name).collect();
    let kept = runs(&db).await;
    assert_eq!(kept.as_array().expect("rows").iter().map(|run| run[0].as_str().expect("a name")).collect::<Vec<_>>(), names);
    assert!(kept.as_array().expect("rows").iter().all(|run| run[1] == "success"), "{kept}");
}

#[tokio::test]
async fn the_registrys_body_runs_a_monitor_and_is_answered_with_what_it_says() {
    let (api, outside) = (Api::start(&[Scope::Functions]).await, Outside::start().await);
    let body = json!({ "check": "order_ingestion_slo" });
    let (answered, ()) = tokio::join!(api.post(PATH, &body), async {
        wait::until("the job is there", Duration::from_secs(10), async || {
            rows(api.edge.pool(), "select count(*) from engine.job").await == json!([[1]])
        })
        .await;
        run_all(api.edge.database(), outside.kinds()).await;
    });
    let (status, answer) = answered;
    assert_eq!((status, &answer["check"], &answer["status"]), (200, &json!("order_ingestion_slo"), &json!("ok")));
    for (body, why) in [(json!({ "check": "weather" }), "unknown variant `weather`"), (json!({}), "missing field `check`")] {
        let refusal = refusal(api.post(PATH, &body).await, 422);
        assert!(refusal.contains(why), "{refusal}");
    }
    let stranger = Api::start(&[Scope::JobsWrite]).await;
    assert!(refusal(stranger.post(PATH, &body).await, 403).contains("lacks the scope functions"));
}
