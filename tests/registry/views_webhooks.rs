//! The views of the inbox: each figure is computed a second time here, from the same rows.

use serde_json::{Value, json};
use sqlx::PgPool;

use super::stage::{ago, database, insert, row, rows, stamp};

const STATUSES: [&str; 7] = ["pending", "processing", "retrying", "success", "failed", "suspected_replay", "ignored"];
const WAITING: [&str; 4] = ["pending", "processing", "failed", "retrying"];

/// A row of the inbox, as far as the views look at it.
#[derive(Clone, Copy)]
struct Webhook {
    age: i64,
    status: &'static str,
    attempts: i64,
    duration_ms: Option<i64>,
}

/// Rows of every status and age, some beyond the day, one in the future, some without a duration.
fn webhooks() -> Vec<Webhook> {
    let some = (0..70).map(|n| Webhook {
        age: n * 37 % 2000,
        status: STATUSES[n as usize % 7],
        attempts: n % 4,
        duration_ms: (n % 5 != 0).then_some(n * 7919 % 12_000),
    });
    let edge = |age| Webhook { age, status: "success", attempts: 1, duration_ms: Some(99_999) };
    some.chain([edge(-1), edge(0), edge(1439), edge(1440), edge(1441)]).collect()
}

async fn store(pool: &PgPool, webhooks: &[Webhook]) {
    for webhook in webhooks {
        let fields = json!({
            "topic": "orders/create", "raw_headers": {}, "raw_payload": {}, "received_at": ago(webhook.age),
            "processing_status": webhook.status, "processing_attempts": webhook.attempts,
            "processing_duration_ms": webhook.duration_ms,
            "processed_at": (webhook.status == "success").then(|| ago(webhook.age)),
        });
        insert(pool, "webhook_inbox", fields).await;
    }
}

/// The smallest duration that is not exceeded by 95 of 100.
fn p95(mut durations: Vec<i64>) -> Option<i64> {
    durations.sort_unstable();
    let place = (durations.len() * 95).div_ceil(100);
    place.checked_sub(1).map(|index| durations[index])
}

fn count(rows: &[Webhook], wanted: impl Fn(&Webhook) -> bool) -> i64 {
    rows.iter().filter(|webhook| wanted(webhook)).count() as i64
}

#[tokio::test]
async fn the_health_of_a_day_is_what_its_webhooks_came_to() {
    let db = database().await;
    store(db.pool(), &webhooks()).await;
    let day: Vec<Webhook> = webhooks().into_iter().filter(|webhook| (0..1440).contains(&webhook.age)).collect();
    assert!(day.len() > 40 && day.len() < webhooks().len(), "rows lie on both sides of the window");
    let of = |status: &'static str| count(&day, move |webhook| webhook.status == status);
    let durations: Vec<i64> = day.iter().filter(|webhook| webhook.status == "success").filter_map(|webhook| webhook.duration_ms).collect();
    let succeeded = of("success");
    let ended = succeeded + of("failed");
    assert_eq!(
        row(db.pool(), "select * from raw_ops.v_webhook_health").await,
        json!({
            "received": day.len(), "succeeded": succeeded, "waiting": of("pending") + of("processing") + of("retrying"),
            "failed": of("failed"), "suspected_replays": of("suspected_replay"), "ignored": of("ignored"),
            "retried": count(&day, |webhook| webhook.attempts > 1),
            "success_pct": (1000.0 * succeeded as f64 / ended as f64).round() / 10.0,
            "avg_ms": (durations.iter().sum::<i64>() as f64 / durations.len() as f64).round() as i64,
            "p95_ms": p95(durations.clone()), "max_ms": durations.iter().max(),
        })
    );
}

#[tokio::test]
async fn an_empty_inbox_has_no_rate_and_no_age() {
    let db = database().await;
    let health = row(db.pool(), "select received, success_pct, p95_ms from raw_ops.v_webhook_health").await;
    assert_eq!(health, json!({ "received": 0, "success_pct": null, "p95_ms": null }));
    let queue = row(db.pool(), "select depth, oldest_age, most_attempts from raw_ops.v_retry_queue_depth").await;
    assert_eq!(queue, json!({ "depth": 0, "oldest_age": null, "most_attempts": null }));
    for view in ["alert_retry_queue_backup", "alert_slow_processing", "v_error_summary"] {
        assert!(rows(db.pool(), &format!("select * from raw_ops.{view}")).await.is_empty(), "{view}");
    }
}

#[tokio::test]
async fn the_retry_queue_holds_what_has_not_succeeded_however_old() {
    let db = database().await;
    store(db.pool(), &webhooks()).await;
    let queue: Vec<Webhook> = webhooks().into_iter().filter(|webhook| WAITING.contains(&webhook.status)).collect();
    let of = |status: &'static str| count(&queue, move |webhook| webhook.status == status);
    let oldest = queue.iter().map(|webhook| webhook.age).max().expect("some wait");
    assert_eq!(
        row(
            db.pool(),
            "select depth, pending, processing, failed, retrying, oldest_received_at, most_attempts,
                extract(epoch from oldest_age)::integer / 60 as oldest_minutes from raw_ops.v_retry_queue_depth"
        )
        .await,
        json!({
            "depth": queue.len(), "pending": of("pending"), "processing": of("processing"), "failed": of("failed"),
            "retrying": of("retrying"), "oldest_received_at": stamp(ago(oldest)), "oldest_minutes": oldest,
            "most_attempts": queue.iter().map(|webhook| webhook.attempts).max(),
        })
    );
}

async fn alerts(pool: &PgPool, view: &str) -> Vec<Value> {
    rows(pool, &format!("select * from raw_ops.{view}")).await
}

#[tokio::test]
async fn the_queue_alerts_beyond_a_hundred_or_half_an_hour_and_not_at_them() {
    let db = database().await;
    let waiting = |age, status| Webhook { age, status, attempts: 0, duration_ms: None };
    for (number, expected) in [(100, 0), (1, 1)] {
        store(db.pool(), &vec![waiting(5, "pending"); number]).await;
        assert_eq!(alerts(db.pool(), "alert_retry_queue_backup").await.len(), expected);
    }
    sqlx::raw_sql("truncate raw_ops.webhook_inbox").execute(db.pool()).await.expect("the inbox can be emptied");
    for (age, status, expected) in [(30, "failed", 0), (500, "success", 0), (31, "failed", 1)] {
        store(db.pool(), &[waiting(age, status)]).await;
        assert_eq!(alerts(db.pool(), "alert_retry_queue_backup").await.len(), expected, "{age} {status}");
    }
    let alert = alerts(db.pool(), "alert_retry_queue_backup").await.remove(0);
    assert_eq!(alert["message"], json!("2 webhooks wait, the oldest for 31 minutes"));

    sqlx::raw_sql(
        "insert into raw_ops.config (key, value_numeric) values ('order_ingestion.max_age_minutes', 60)
         on conflict (key) do update set value_numeric = 60",
    )
    .execute(db.pool())
    .await
    .expect("a setting can be made");
    assert!(alerts(db.pool(), "alert_retry_queue_backup").await.is_empty(), "the owner's limit holds");
}

#[tokio::test]
async fn slow_processing_alerts_beyond_its_limits_and_not_at_them() {
    let cases = [
        ("the 95th percentile at its limit", 5, 5000, false),
        ("the 95th percentile beyond it", 5, 5001, true),
        ("longer than an hour ago", 60, 20_000, false),
        ("within the hour", 59, 20_000, true),
        ("not yet", -1, 20_000, false),
    ];
    let db = database().await;
    for (case, age, duration, expected) in cases {
        sqlx::raw_sql("truncate raw_ops.webhook_inbox").execute(db.pool()).await.expect("the inbox can be emptied");
        let slow = Webhook { age, status: "success", attempts: 1, duration_ms: Some(duration) };
        store(db.pool(), &[slow, slow]).await;
        let found = alerts(db.pool(), "alert_slow_processing").await;
        assert_eq!(!found.is_empty(), expected, "{case}: {found:?}");
    }
}

#[tokio::test]
async fn one_webhook_beyond_the_longest_alerts_among_many_quick_ones() {
    let db = database().await;
    let took = |duration| Webhook { age: 3, status: "success", attempts: 1, duration_ms: Some(duration) };
    store(db.pool(), &vec![took(20); 40]).await;
    for (slowest, expected) in [(10_000, 0), (10_001, 1)] {
        store(db.pool(), &[took(slowest)]).await;
        assert_eq!(alerts(db.pool(), "alert_slow_processing").await.len(), expected, "the slowest took {slowest} ms");
    }
}

#[tokio::test]
async fn errors_that_differ_in_numbers_are_one_pattern() {
    let db = database().await;
    let errors = [
        (10, Some("timeout"), "no answer after 1.5 s for 3f2504e0-4f89-41d3-9a0c-0305e82c3301", "failed"),
        (20, Some("timeout"), "no answer after 30 s for 9b2504e0-4f89-41d3-9a0c-0305e82c33ff", "pending"),
        (30, Some("upstream"), "no answer after 30 s for 9b2504e0-4f89-41d3-9a0c-0305e82c33ff", "ignored"),
        (7 * 1440 - 1, None, "the body is no JSON", "ignored"),
        (7 * 1440, None, "the body is no JSON", "ignored"),
        (40, Some("bug"), "", "failed"),
    ];
    for (age, category, error, status) in errors {
        let fields = json!({
            "topic": "orders/create", "raw_headers": {}, "raw_payload": {}, "received_at": ago(age), "processing_status": status,
            "error_category": category, "last_error": error, "last_error_at": ago(age - 1),
        });
        insert(db.pool(), "webhook_inbox", fields).await;
    }
    let found = rows(
        db.pool(),
        "select error_category, pattern, webhooks, waiting, first_received_at, last_received_at, last_error_at, newest_error
         from raw_ops.v_error_summary order by error_category, pattern",
    )
    .await;
    let of = |category: &str, pattern: &str, counts: (i64, i64), ages: (i64, i64), newest: &str| {
        json!({
            "error_category": category, "pattern": pattern, "webhooks": counts.0, "waiting": counts.1, "newest_error": newest,
            "first_received_at": stamp(ago(ages.0)), "last_received_at": stamp(ago(ages.1)), "last_error_at": stamp(ago(ages.1 - 1)),
        })
    };
    let expected = [
        of("bug", "", (1, 1), (40, 40), ""),
        of("timeout", "no answer after # s for #", (2, 2), (20, 10), errors[0].2),
        of("unknown", "the body is no JSON", (1, 0), (7 * 1440 - 1, 7 * 1440 - 1), errors[3].2),
        of("upstream", "no answer after # s for #", (1, 0), (30, 30), errors[2].2),
    ];
    assert_eq!(found, expected);
}
