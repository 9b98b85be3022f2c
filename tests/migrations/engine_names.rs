//! The engine's names over the registry's tables.

use serde_json::json;

use crate::orders::inbox::{count, execute, row};
use crate::support::Database;

#[tokio::test]
async fn the_retry_policy_came_along() {
    let db = Database::new().await;
    let policies = row(
        db.pool(),
        "select count(*) filter (where r.error_category in ('network', 'timeout', 'rate_limited', 'upstream', 'auth', 'validation',
            'not_ready', 'conflict', 'business_rule', 'poison', 'bug', 'unknown', 'default')) as known,
            count(*) = (select count(*) from engine.retry_config) as same,
            min(version) as version from raw_ops.retry_config r",
    )
    .await;
    assert_eq!(policies, json!({ "known": 13, "same": true, "version": 1 }));
}

#[tokio::test]
async fn what_the_engine_writes_reaches_the_registrys_tables() {
    let db = Database::new().await;
    execute(
        db.pool(),
        "insert into engine.dead_letter_queue (source, topic, payload, job_id, category) values ('worker', 'orders.process_order', '{}', 7, 'bug')",
    )
    .await;
    execute(db.pool(), "update engine.dead_letter_queue set resolved = true, resolved_by = 'ada', requeued_job_id = 8 where job_id = 7")
        .await;
    let letter = row(
        db.pool(),
        "select id is not null as id, retries, created_at is not null as dated, resolved, resolved_by, requeued_job_id from raw_ops.dead_letter_queue",
    )
    .await;
    assert_eq!(letter, json!({ "id": true, "retries": 0, "dated": true, "resolved": true, "resolved_by": "ada", "requeued_job_id": 8 }));
    execute(
        db.pool(),
        "insert into engine.retry_config (error_category, max_attempts, backoff_seconds) values ('network', 3, '{1}'), ('new', 2, '{5}')
         on conflict (error_category) do update set max_attempts = excluded.max_attempts, version = engine.retry_config.version + 1",
    )
    .await;
    assert_eq!(
        count(db.pool(), "raw_ops.retry_config where (error_category, max_attempts, version) in (('network', 3, 2), ('new', 2, 1))").await,
        2
    );
}

#[tokio::test]
async fn a_policy_that_cannot_be_followed_is_refused() {
    let db = Database::new().await;
    for change in ["max_attempts = 0", "backoff_seconds = '{}'", "backoff_seconds = '{1,-1}'", "backoff_seconds = '{1,null}'"] {
        let refused = sqlx::query(sqlx::AssertSqlSafe(format!("update engine.retry_config set {change}"))).execute(db.pool()).await;
        assert!(refused.is_err(), "{change}");
    }
}
