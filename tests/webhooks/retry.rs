//! Webhooks that failed are tried again where that can help.

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use web::{api::Scope, functions::retry_failed_webhooks::PATH};

use crate::api::{Api, refusal};
use crate::orders::inbox::{count, execute, paid, receive, row};
use crate::support::{Database, run_all, shelf::rows};

/// A webhook that failed an hour ago with this category, its job ended as a dead letter.
async fn failed(pool: &PgPool, category: &str) -> Uuid {
    let id = receive(pool, "orders/create", &paid()).await;
    execute(
        pool,
        &format!(
            "with job as (delete from engine.unique_key where key = '{id}' returning job_id),
         gone as (delete from engine.ready where job_id in (select job_id from job)),
         described as (delete from engine.job where id in (select job_id from job))
         insert into raw_ops.dead_letter_queue (source, topic, payload, job_id, category)
         select 'engine', 'orders.process_order', jsonb_build_object('inbox_id', '{id}'), job_id, '{category}' from job"
        ),
    )
    .await;
    // The letter has marked the row as of now.
    execute(
        pool,
        &format!(
            "update raw_ops.webhook_inbox set processing_attempts = 3,
             last_error_at = now() - interval '1 h', received_at = now() - interval '2 h', updated_at = now() - interval '1 h'
         where id = '{id}' and processing_status = 'failed' and error_category = '{category}'"
        ),
    )
    .await;
    id
}

async fn retry(pool: &PgPool) -> Vec<Uuid> {
    sqlx::query_scalar("select inbox_id from raw_ops.retry_failed_webhooks()").fetch_all(pool).await.expect("webhooks can be retried")
}

#[tokio::test]
async fn a_webhook_whose_failure_passes_is_processed_after_all() {
    let db = Database::new().await;
    let id = failed(db.pool(), "network").await;
    assert_eq!(retry(db.pool()).await, [id]);
    assert_eq!(count(db.pool(), "raw_ops.webhook_inbox where processing_status = 'retrying'").await, 1);
    let letter = row(
        db.pool(),
        "select d.resolved, d.resolved_by, d.requeued_job_id = j.id as linked, j.args ->> 'inbox_id' as inbox_id
         from raw_ops.dead_letter_queue d cross join engine.job_state j",
    )
    .await;
    assert_eq!(letter, json!({ "resolved": true, "resolved_by": "retry_failed_webhooks", "linked": true, "inbox_id": id }));
    assert!(retry(db.pool()).await.is_empty(), "its job lives");
    run_all(&db, jobs::kinds()).await;
    assert_eq!(count(db.pool(), "raw_ops.webhook_inbox where processing_status = 'success' and processing_attempts = 4").await, 1);
    assert!(retry(db.pool()).await.is_empty(), "it is done");
}

#[tokio::test]
async fn a_webhook_that_is_wrong_for_ever_or_was_tried_often_is_left_to_a_person() {
    let db = Database::new().await;
    failed(db.pool(), "validation").await;
    let often = failed(db.pool(), "upstream").await;
    execute(db.pool(), &format!("update raw_ops.webhook_inbox set processing_attempts = 20 where id = '{often}'")).await;
    let fresh = failed(db.pool(), "network").await;
    execute(db.pool(), &format!("update raw_ops.webhook_inbox set last_error_at = now() - interval '4 min' where id = '{fresh}'")).await;
    let replay = failed(db.pool(), "network").await;
    execute(db.pool(), &format!("update raw_ops.webhook_inbox set processing_status = 'suspected_replay' where id = '{replay}'")).await;
    assert!(retry(db.pool()).await.is_empty());

    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 2 where error_category = 'validation'").await;
    assert_eq!(retry(db.pool()).await.len(), 1, "the policy is data");
}

#[tokio::test]
async fn a_webhook_that_waits_for_something_else_is_tried_for_days_however_often() {
    let db = Database::new().await;
    let waits = failed(db.pool(), "not_ready").await;
    let too_long = failed(db.pool(), "not_ready").await;
    execute(db.pool(), &format!("update raw_ops.webhook_inbox set processing_attempts = 300 where id = '{waits}'")).await;
    execute(db.pool(), &format!("update raw_ops.webhook_inbox set received_at = now() - interval '73 h' where id = '{too_long}'")).await;
    assert_eq!(retry(db.pool()).await, [waits]);
}

#[tokio::test]
async fn a_webhook_that_never_got_a_job_gets_one_the_oldest_first() {
    let db = Database::new().await;
    let mut tx = db.pool().begin().await.expect("a transaction begins");
    for statement in [
        "set local rawops.seeding = on",
        "insert into raw_ops.webhook_inbox (topic, raw_headers, raw_payload, received_at, updated_at, webhook_id)
         select 'orders/create', '{}', '{}', now() - interval '1 h' * n, now() - interval '1 h', n::text from generate_series(1, 3) n",
    ] {
        sqlx::query(statement).execute(&mut *tx).await.expect("the statement is sound");
    }
    tx.commit().await.expect("a transaction ends");
    assert_eq!(count(db.pool(), "engine.job").await, 0);
    let first: i64 = sqlx::query_scalar("select count(*) from raw_ops.retry_failed_webhooks(2)").fetch_one(db.pool()).await.expect("two");
    assert_eq!(first, 2);
    let order = "select i.webhook_id from raw_ops.webhook_inbox i join engine.job_state j on j.unique_key = i.id::text order by j.id";
    assert_eq!(rows(db.pool(), order).await, json!([["3"], ["2"]]));
}

#[tokio::test]
async fn webhooks_of_every_inbox_are_tried_again_by_one_job_and_one_function_of_http() {
    let api = Api::start(&[Scope::Functions]).await;
    let pool = api.edge.pool();
    let mut tx = pool.begin().await.expect("a transaction begins");
    for statement in [
        "set local rawops.seeding = on",
        "insert into raw_ops.webhook_inbox (source, topic, raw_headers, raw_payload, received_at, updated_at, webhook_id)
         select source, topic, '{}', '{}', now() - interval '1 h', now() - interval '1 h', topic
         from (values ('shopify', 'refunds/create'), ('shopify', 'customers/update'), ('shopify', 'shop/redact'), ('courier', 'tracking/event'), ('packer', 'dispatch/file'),
               ('shopify', 'themes/publish')) v (source, topic)",
        "insert into raw_ops.seal_webhook_inbox (webhook_topic, payload, received_at, processing_status, error_category)
         select 'subscription/updated', '{}', now() - interval '1 h', status, category
         from (values ('pending', null), ('failed', 'network'), ('failed', 'validation'), ('ignored', null)) v (status, category)",
    ] {
        sqlx::query(statement).execute(&mut *tx).await.expect("the statement is sound");
    }
    tx.commit().await.expect("a transaction ends");
    let (status, answered) = api.post(PATH, &json!({})).await;
    assert_eq!((status, &answered["retried"]), (200, &json!(7)), "{answered}");
    assert_eq!(api.post(PATH, &json!({})).await.1, json!({ "retried": 0, "webhooks": [] }), "their jobs live");
    let kinds = rows(pool, "select kind, count(*) from engine.job_state group by 1 order by 1").await;
    assert_eq!(
        kinds,
        json!([
            ["couriers.record_event", 1],
            ["customers.handle_privacy_request", 1],
            ["customers.process_customer", 1],
            ["dispatch.read_file", 1],
            ["orders.process_refund", 1],
            ["subscriptions.process_event", 2]
        ])
    );
    let job: String = answered["webhooks"][0]["job_id"].as_str().expect("text").into();
    assert_eq!(count(pool, &format!("engine.job where id = {job}")).await, 1);
}

#[tokio::test]
async fn the_schedule_has_the_same_done_by_a_job() {
    let db = Database::new().await;
    let id = failed(db.pool(), "network").await;
    let job = engine::NewJob::of(&jobs::webhooks::RetryFailed {}).expect("the arguments are JSON");
    engine::Client::new(db.pool().clone()).enqueue(&job).await.expect("the queue takes the job");
    run_all(&db, jobs::kinds()).await;
    assert_eq!(count(db.pool(), &format!("raw_ops.webhook_inbox where id = '{id}' and processing_status = 'success'")).await, 1);
    let output = row(db.pool(), "select output from engine.job_state where kind = 'webhooks.retry_failed'").await;
    assert_eq!(output, json!({ "output": { "retried": 1 } }));
}

#[tokio::test]
async fn the_function_needs_a_token_of_its_scope() {
    let api = Api::start(&[Scope::JobsWrite]).await;
    assert!(refusal(api.post(PATH, &json!({})).await, 403).contains("lacks the scope functions"));
}
