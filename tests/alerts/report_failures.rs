//! From failures of jobs to words in a channel.

use std::time::Duration;

use engine::{Client, NewJob};
use jobs::alerts::ReportFailures;
use serde_json::{Value, json};

use super::{execute, told};
use crate::outbox::retry_at_once;
use crate::support::{Database, Outside, clock, kinds::Fail, run_all, shelf::rows, wait};

/// The product's kinds, and one that fails.
fn kinds(outside: &Outside) -> engine::Kinds {
    outside.kinds().with::<Fail>()
}

async fn fail(db: &Database, category: &str, times: i32, jobs: usize) {
    let job = NewJob::of(&Fail { category: category.into(), times }).expect("it serialises");
    for _ in 0..jobs.div_ceil(1000) {
        Client::new(db.pool().clone()).enqueue_many(&vec![job.clone(); jobs.min(1000)]).await.expect("enqueued");
    }
}

async fn report(db: &Database, outside: &Outside) {
    let job = NewJob::of(&ReportFailures {}).expect("it serialises");
    Client::new(db.pool().clone()).enqueue(&job).await.expect("enqueued");
    run_all(db, kinds(outside)).await;
}

async fn levels(db: &Database) -> Value {
    rows(db.pool(), "select level, attempt from engine.notice order by id").await
}

#[tokio::test]
async fn a_failure_leaves_a_notice_at_the_numbers_of_the_policy_and_at_its_end() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    retry_at_once(db.pool()).await;
    execute(
        db.pool(),
        "update raw_ops.retry_config set max_attempts = 6, alert_on_attempt = 2, escalate_on_attempt = 4 where error_category = 'network'",
    )
    .await;
    fail(&db, "network", 10, 1).await;
    run_all(&db, kinds(&outside)).await;
    assert_eq!(levels(&db).await, json!([["alert", 2], ["escalate", 4], ["dead", 6]]));
    execute(db.pool(), "delete from engine.notice").await;
    // A kind's own policy says when it is tried no more; of alerts it says nothing here, so the category's hold.
    execute(
        db.pool(),
        "insert into engine.retry_override (kind, error_category, max_attempts, backoff_seconds) values ('test.fail', 'network', 4, '{0}')",
    )
    .await;
    fail(&db, "network", 10, 1).await;
    run_all(&db, kinds(&outside)).await;
    assert_eq!(levels(&db).await, json!([["alert", 2], ["escalate", 4]]), "the last failure is the one that escalates");
    execute(db.pool(), "delete from engine.notice").await;
    execute(db.pool(), "update engine.retry_override set alert_on_attempt = 3, escalate_on_attempt = 3").await;
    fail(&db, "network", 3, 1).await;
    run_all(&db, kinds(&outside)).await;
    assert_eq!(levels(&db).await, json!([["escalate", 3]]), "it went well in the end");
}

#[tokio::test]
async fn a_category_that_alerts_nobody_is_told_of_at_its_end_only() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    retry_at_once(db.pool()).await;
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 5, alert_on_attempt = null, escalate_on_attempt = null where error_category = 'network'").await;
    fail(&db, "network", 10, 1).await;
    run_all(&db, kinds(&outside)).await;
    assert_eq!(levels(&db).await, json!([["dead", 5]]));
}

#[tokio::test]
async fn ten_thousand_failures_are_one_message_with_a_count() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    fail(&db, "validation", 10, 10_000).await;
    run_all(&db, kinds(&outside)).await;
    report(&db, &outside).await;
    let told = told(&outside);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "ops-alerts");
    assert!(told[0].1.starts_with("⚠️ test.fail fails: validation (×10000): failed on purpose"), "{told:?}");
    assert_eq!(levels(&db).await, json!([]), "they are taken away");
    fail(&db, "validation", 10, 1_000).await;
    run_all(&db, kinds(&outside)).await;
    report(&db, &outside).await;
    assert_eq!(outside.slack.messages().len(), 1, "the window is not over");
    assert_eq!(
        rows(db.pool(), "select delivery_status, repeats from raw_ops.alert_log order by sent_at").await,
        json!([["sent", 10_000], ["suppressed", 1_000]])
    );
}

#[tokio::test]
async fn what_fails_again_and_again_is_critical_and_told_when_it_is_over_once() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    clock::own(db.pool()).await;
    retry_at_once(db.pool()).await;
    execute(db.pool(), "update raw_ops.retry_config set alert_on_attempt = 1, escalate_on_attempt = 2 where error_category = 'network'")
        .await;
    fail(&db, "network", 2, 1).await;
    run_all(&db, kinds(&outside)).await;
    report(&db, &outside).await;
    wait::until("both levels are told", Duration::from_secs(20), || async { outside.slack.messages().len() == 2 }).await;
    let mut channels: Vec<String> = told(&outside).into_iter().map(|(channel, _)| channel).collect();
    channels.sort();
    assert_eq!(channels, ["ops-alerts", "ops-urgent"]);
    report(&db, &outside).await;
    assert_eq!(outside.slack.messages().len(), 2, "it may come again");
    clock::step(db.pool(), 16.0 * 60.0).await;
    report(&db, &outside).await;
    report(&db, &outside).await;
    let told = told(&outside);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[2].1.starts_with("ℹ️ Over: test.fail"), "{told:?}");
}
