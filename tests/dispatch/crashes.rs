//! The crash matrix: the worker stops before or after the commit of each job of a dispatch, and it runs again.

use engine::Kinds;
use jobs::dispatch::{ImportDispatch, ReadFile};
use serde_json::json;
use uuid::Uuid;

use super::{books_balance, exported, file, parcels, queue, receive, row_id, stock};
use crate::orders::inbox::{count, execute};
use crate::support::{Database, Outside, drain::run_kinds, run_all};

const AT: &str = "2026-01-14 16:05:00";

#[tokio::test]
async fn stopped_before_or_after_a_commit_a_dispatch_ends_the_same() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    exported(&db, &outside, 1).await;
    receive(db.pool(), "a", &file(&[["PR#1", "101", AT]])).await;
    let inbox_id: Uuid =
        sqlx::query_scalar("select id from raw_ops.webhook_inbox where source = 'packer'").fetch_one(db.pool()).await.expect("one file");
    let keep = "select raw_ops.keep_dispatch_file($1, 'a', repeat('0', 64), 'http', '{PR#1}', array['{}'::jsonb], array[null::text])";
    let mut tx = db.pool().begin().await.expect("a transaction");
    sqlx::query(keep).bind(inbox_id).execute(&mut *tx).await.expect("it is kept");
    tx.rollback().await.expect("the worker is gone");
    assert_eq!(queue(&db).await, json!([]));

    run_kinds(&db, Kinds::new().with::<ReadFile>()).await;
    assert_eq!((queue(&db).await, stock(&db).await), (json!([["PR#1", "pending", null]]), json!([12, 2, 0])));
    let mut tx = db.pool().begin().await.expect("a transaction");
    let row = row_id(db.pool()).await;
    sqlx::query("select raw_ops.process_dispatch_txn($1)").bind(row).execute(&mut *tx).await.expect("it is sound");
    tx.rollback().await.expect("the worker is gone");
    assert_eq!((parcels(&db).await, stock(&db).await), (json!([]), json!([12, 2, 0])));

    for _ in 0..2 {
        run_all(&db, outside.kinds()).await;
        assert_eq!(parcels(&db).await, json!([["101", "DISPATCHED", "#1", "DISPATCHED"]]));
        assert_eq!((queue(&db).await, stock(&db).await), (json!([["PR#1", "processed", null]]), json!([10, 0, 1])));
        // After the commit both are asked for once more.
        execute(db.pool(), "update raw_ops.webhook_inbox set processing_status = 'retrying' where source = 'packer'").await;
        let again = engine::NewJob::of(&ImportDispatch { row_id: row }).expect("it serialises");
        engine::Client::new(db.pool().clone()).enqueue(&again).await.expect("enqueued");
    }
    run_all(&db, outside.kinds()).await;
    assert_eq!(stock(&db).await, json!([10, 0, 1]));
    assert_eq!(count(db.pool(), "engine.dead_letter_queue").await, 0);
    books_balance(&db).await;
}
