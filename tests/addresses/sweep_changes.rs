//! Changes of address that wait without a job are found.

use engine::{Client, JobId, NewJob, store::cancel_request};
use jobs::addresses::SweepChanges;
use serde_json::{Value, json};

use super::{at_seal, at_shopify, moves, settled, states};
use crate::orders::inbox::{execute, row};
use crate::support::{Database, Outside, run_all};

/// Sweeps, and lets everything run; what the sweep said.
async fn sweep(db: &Database, outside: &Outside) -> Value {
    let job = NewJob::of(&SweepChanges {}).expect("it serialises");
    let id = Client::new(db.pool().clone()).enqueue(&job).await.expect("enqueued").id;
    run_all(db, outside.kinds()).await;
    row(db.pool(), &format!("select output from engine.job_state where id = {id}")).await["output"].take()
}

#[tokio::test]
async fn a_change_whose_jobs_a_person_cancelled_is_told_after_all_and_one_that_is_called_off_is_not() {
    let (db, outside) = settled().await;
    let change = moves(db.pool(), "2 New Road", "YO1 7EP").await;
    let jobs: Vec<JobId> = sqlx::query_scalar("select id from engine.job where args ->> 'change_id' = $1")
        .bind(change.to_string())
        .fetch_all(db.pool())
        .await
        .expect("its jobs");
    assert_eq!(jobs.len(), 2);
    for job in jobs {
        cancel_request::cancel(db.pool(), job, "ada", Some("by mistake")).await.expect("it waits");
    }
    assert_eq!(sweep(&db, &outside).await, json!({ "started": 0, "refused": 0 }), "it was made just now");
    execute(db.pool(), "update raw_ops.address_changes set created_at = now() - interval '6 minutes'").await;
    assert_eq!(sweep(&db, &outside).await, json!({ "started": 2, "refused": 0 }));
    assert_eq!(states(db.pool()).await, json!([["synced", "synced"]]));
    assert_eq!((at_shopify(&outside), at_seal(&outside)), ((json!("2 New Road"), 1), (json!("2 New Road"), 1)));

    execute(db.pool(), "update raw_ops.address_changes set shopify_state = 'not_needed', seal_state = 'telling', seal_begun_at = now()")
        .await;
    assert_eq!(sweep(&db, &outside).await, json!({ "started": 0, "refused": 0 }), "somebody may be at it");
    execute(db.pool(), "update raw_ops.address_changes set seal_begun_at = now() - interval '6 minutes'").await;
    assert_eq!(sweep(&db, &outside).await, json!({ "started": 1, "refused": 0 }), "whoever was at it is gone");
    assert_eq!(states(db.pool()).await, json!([["not_needed", "synced"]]));
    assert_eq!(at_seal(&outside).1, 1, "it was there already");
}
