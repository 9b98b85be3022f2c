//! What the sweep finds.

use engine::{Client, NewJob};
use jobs::outbox::SweepMessages;
use sqlx::PgPool;

use super::{mail, put};
use crate::support::{Database, Outside, ledger, run_all};

async fn execute(pool: &PgPool, statement: &'static str) {
    sqlx::query(statement).execute(pool).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

async fn sweep(db: &Database, outside: &Outside) {
    let job = NewJob::of(&SweepMessages {}).expect("it serialises");
    Client::new(db.pool().clone()).enqueue(&job).await.expect("enqueued");
    run_all(db, outside.kinds()).await;
}

#[tokio::test]
async fn a_row_that_waits_without_a_job_gets_one() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let mut tx = db.pool().begin().await.expect("a transaction");
    sqlx::query("set local rawops.seeding = on").execute(&mut *tx).await.expect("set");
    sqlx::query(
        "insert into raw_ops.outbox (target, event_type, payload_json, created_at, updated_at)
         values ('customerio', 'x', '{\"to\": \"ann@example.com\", \"transactional_message_id\": 1}', now() - interval '1 hour', now() - interval '1 hour')",
    )
    .execute(&mut *tx)
    .await
    .expect("a row");
    tx.commit().await.expect("committed");
    assert_eq!(ledger::count(db.pool(), "select count(*) from engine.job").await, 0);
    sweep(&db, &outside).await;
    assert_eq!(outside.customerio.message_count(), 1);
    sweep(&db, &outside).await;
    assert_eq!(outside.customerio.message_count(), 1);
}

#[tokio::test]
async fn a_mail_whose_job_has_gone_on_its_way_is_unknown_and_told_of_once() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let id = put(db.pool(), "ann@example.com").await;
    execute(db.pool(), "select raw_ops.begin_message(id) from raw_ops.outbox").await;
    execute(db.pool(), "delete from engine.ready").await;
    execute(db.pool(), "delete from engine.unique_key").await;
    execute(db.pool(), "truncate engine.job").await;
    sweep(&db, &outside).await;
    assert_eq!(mail(db.pool(), id).await.state, "sending", "it has only begun");
    execute(db.pool(), "update raw_ops.outbox set updated_at = now() - interval '2 minutes'").await;
    sweep(&db, &outside).await;
    assert_eq!(mail(db.pool(), id).await.state, "unknown");
    assert!(outside.slack.messages().is_empty(), "the report may still come");
    execute(db.pool(), "update raw_ops.outbox set updated_at = now() - interval '16 minutes'").await;
    sweep(&db, &outside).await;
    sweep(&db, &outside).await;
    let told: Vec<String> =
        outside.slack.messages().iter().map(|message| format!("{} {}", message.channel, message.body["text"])).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("ops-alerts \"⚠️ Mails that may have been sent or not"), "{told:?}");
    execute(db.pool(), "select raw_ops.resolve_message(id, 'sent', 'ada') from raw_ops.outbox").await;
    sweep(&db, &outside).await;
    sweep(&db, &outside).await;
    assert_eq!(outside.slack.messages().len(), 2, "that it is over is told once");
}

#[tokio::test]
async fn a_row_that_cannot_be_dealt_with_stops_no_other() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    for name in ["bad@example.com", "good@example.com"] {
        put(db.pool(), name).await;
    }
    execute(db.pool(), "delete from engine.ready").await;
    execute(db.pool(), "delete from engine.unique_key").await;
    execute(db.pool(), "truncate engine.job").await;
    execute(db.pool(), "update raw_ops.outbox set updated_at = now() - interval '2 minutes'").await;
    execute(db.pool(), "create function refuse() returns trigger language plpgsql as 'begin raise exception ''no''; end'").await;
    execute(
        db.pool(),
        "create trigger refuse before update on raw_ops.outbox for each row when (new.payload_json ->> 'to' like 'bad%') execute function refuse()",
    )
    .await;
    sweep(&db, &outside).await;
    let sent: Vec<String> = outside.customerio.messages().into_iter().map(|message| message.to).collect();
    assert_eq!(sent, ["good@example.com"]);
}
