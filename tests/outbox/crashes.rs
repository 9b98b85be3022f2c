//! The crash matrix: the worker stops after each step of sending a mail, and the job runs again.

use sqlx::PgPool;
use uuid::Uuid;

use super::{mail, put};
use crate::support::{Database, Outside, run_all};

/// Leaves a mail as a worker that died does: everything up to a step is done, and the job is to run again.
async fn stopped(pool: &PgPool, statement: &'static str) -> Uuid {
    let id = put(pool, "ann@example.com").await;
    sqlx::query(statement).bind(id).execute(pool).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    id
}

#[tokio::test]
async fn stopped_before_the_row_says_sending_the_mail_is_sent() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let id = stopped(db.pool(), "select $1::uuid").await;
    run_all(&db, outside.kinds()).await;
    assert_eq!((mail(db.pool(), id).await.state.as_str(), outside.customerio.message_count()), ("sent", 1));
}

#[tokio::test]
async fn stopped_with_the_request_under_way_the_mail_is_parked_and_not_sent_again() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let id = stopped(db.pool(), "select raw_ops.begin_message($1)").await;
    run_all(&db, outside.kinds()).await;
    let row = mail(db.pool(), id).await;
    assert_eq!((row.state.as_str(), row.attempts, outside.customerio.message_count()), ("unknown", 1, 0));
    assert_eq!(row.error_message.as_deref(), Some("a worker stopped between the request and its answer"));
}

#[tokio::test]
async fn stopped_after_a_refusal_was_written_down_the_mail_is_sent() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let id = stopped(
        db.pool(),
        "select raw_ops.settle_message(b.id, 'pending', null, 'refused') from (select $1::uuid as id, raw_ops.begin_message($1)) b",
    )
    .await;
    run_all(&db, outside.kinds()).await;
    assert_eq!((mail(db.pool(), id).await.state.as_str(), outside.customerio.message_count()), ("sent", 1));
}

#[tokio::test]
async fn stopped_after_the_answer_was_written_down_the_mail_is_not_sent_again() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let id = stopped(
        db.pool(),
        "select raw_ops.settle_message(b.id, 'sent', 'd1', null) from (select $1::uuid as id, raw_ops.begin_message($1)) b",
    )
    .await;
    run_all(&db, outside.kinds()).await;
    let row = mail(db.pool(), id).await;
    assert_eq!((row.state.as_str(), row.delivery_id.as_deref(), outside.customerio.message_count()), ("sent", Some("d1"), 0));
}

#[tokio::test]
async fn a_letter_about_a_mail_on_its_way_leaves_it_unknown() {
    let db = Database::new().await;
    let id = stopped(db.pool(), "select raw_ops.begin_message($1)").await;
    sqlx::query(
        "insert into engine.dead_letter_queue (source, topic, payload, error_message, category)
         values ('engine', 'outbox.deliver_message', jsonb_build_object('outbox_id', $1), 'the worker died', 'poison')",
    )
    .bind(id)
    .execute(db.pool())
    .await
    .expect("a letter");
    assert_eq!(mail(db.pool(), id).await.state, "unknown");
}
