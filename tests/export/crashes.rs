//! The crash matrix: the worker stops after each step of an export, and the job runs again.

use engine::{Client, Kinds, NewJob};
use jobs::clients;
use jobs::export::{CollectOrders, SendFile};
use serde_json::json;
use uuid::Uuid;

use super::{all, batch, run, stands, waiting};
use crate::orders::inbox::{count, execute};
use crate::support::{Database, Outside, drain::run_kinds, run_all};

/// A batch of two orders whose job has not begun.
async fn queued(db: &Database, outside: &Outside) -> Uuid {
    waiting(db.pool(), 2).await;
    let held = Kinds::new().with::<CollectOrders>().sharing(clients::Outside::new(&outside.settings()).expect("the settings are right"));
    Client::new(db.pool().clone()).enqueue(&NewJob::of(&CollectOrders {}).expect("it serialises")).await.expect("enqueued");
    run_kinds(db, held).await;
    assert_eq!((batch(db).await, stands(db).await), (("pending".into(), 0), all(2, "EXPORTED", Some("queued"))));
    sqlx::query_scalar("select id from raw_ops.export_outbox").fetch_one(db.pool()).await.expect("one batch")
}

async fn ends_well(db: &Database, outside: &Outside, puts: u32) {
    run_all(db, outside.kinds()).await;
    assert_eq!(batch(db).await.0, "confirmed");
    assert_eq!(stands(db).await, all(2, "EXPORTED", Some("acked")));
    assert_eq!(outside.packer.files().values().map(|file| file.puts).collect::<Vec<_>>(), [puts]);
    assert_eq!(outside.packer.orders(), ["PR#1", "PR#2"]);
}

#[tokio::test]
async fn stopped_before_its_commit_a_collection_leaves_nothing_and_after_it_nothing_to_do() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let orders = waiting(db.pool(), 2).await;
    let mut tx = db.pool().begin().await.expect("a transaction");
    sqlx::query("select raw_ops.keep_export(raw_ops.next_export_batch(), $1, '{PR#1,PR#2}', '{}', 'f', repeat('0', 64), 'v1')")
        .bind(orders)
        .execute(&mut *tx)
        .await
        .expect("a batch");
    tx.rollback().await.expect("the worker is gone");
    assert_eq!(stands(&db).await, all(2, "ALLOCATED", None));
    for _ in 0..2 {
        run(&db, &outside, CollectOrders {}).await;
        ends_well(&db, &outside, 1).await;
    }
}

#[tokio::test]
async fn stopped_after_any_step_a_batch_is_sent_once_and_ends_the_same() {
    for step in ["nothing", "begun", "put", "sent"] {
        let (db, outside) = (Database::new().await, Outside::start().await);
        execute(db.pool(), "update raw_ops.retry_config set backoff_seconds = '{0}'").await;
        let export = queued(&db, &outside).await;
        let mut puts = 1;
        if step != "nothing" {
            execute(db.pool(), &format!("select raw_ops.begin_export('{export}')")).await;
        }
        if matches!(step, "put" | "sent") {
            put(&db, &outside).await;
            puts = if step == "put" { 2 } else { 1 };
        }
        if step == "sent" {
            execute(db.pool(), &format!("select raw_ops.settle_export('{export}', 'sent')")).await;
        }
        ends_well(&db, &outside, puts).await;
        // After the commit of its end: a second job finds nothing to do.
        assert_eq!(run(&db, &outside, SendFile { export_id: export }).await, json!({ "status": "confirmed" }), "{step}");
        ends_well(&db, &outside, puts).await;
    }
}

/// Puts the file as the worker did that stopped right after it.
async fn put(db: &Database, outside: &Outside) {
    let (batch_id, document): (String, String) =
        sqlx::query_as("select batch_id, csv_data::text from raw_ops.export_outbox").fetch_one(db.pool()).await.expect("one batch");
    let document = serde_json::from_str(&document).expect("it is a document");
    let file = jobs::export::manifest::File::write(&batch_id, "v1", &document).expect("its lines are sound");
    let request = reqwest::Client::new().put(format!("{}/orders/{}", outside.packer.url(), file.name));
    let request = request.bearer_auth(crate::support::outside::DROP_TOKEN).header("idempotency-key", &file.sha256);
    let answer = request.body(file.bytes).send().await.expect("the drop answers");
    assert_eq!(answer.status().as_u16(), 201);
}

#[tokio::test]
async fn a_job_of_a_batch_that_is_not_there_ends_without_a_word() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    assert_eq!(run(&db, &outside, SendFile { export_id: Uuid::nil() }).await, json!({ "status": "gone" }));
    assert_eq!(count(db.pool(), "engine.dead_letter_queue").await, 0);
}
