//! Changes of address that wait without a job are found.

use std::time::Duration;

use engine::{Client, JobId, NewJob, store::cancel_request};
use jobs::addresses::SweepChanges;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{at_seal, at_shopify, moves, settled, states};
use crate::orders::inbox::{count, execute, row};
use crate::support::{Database, Login, Outside, run_all, shelf::message, wait::until};

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

/// Every job gone, and the changes old enough to be swept.
async fn forget_jobs(db: &Database) {
    execute(
        db.pool(),
        "with gone as (delete from engine.ready returning job_id), keys as (delete from engine.unique_key)
         delete from engine.job where id in (select job_id from gone)",
    )
    .await;
    execute(db.pool(), "update raw_ops.address_changes set created_at = now() - interval '6 minutes'").await;
}

/// An operator calls a change off: where it stands, or the refusal.
async fn call_off(db: &Database, change: Uuid) -> Result<(String, String), String> {
    let operator = Login::of("rawops_operator").await;
    sqlx::query_as("select shopify, seal from raw_ops.call_off_address_change($1, 'ann')")
        .bind(change)
        .fetch_one(&mut operator.connect(db).await)
        .await
        .map_err(|error| message(&error))
}

#[tokio::test]
async fn an_operator_calls_a_change_off_and_neither_its_job_nor_a_sweep_tells_it() {
    let (db, outside) = settled().await;
    let change = moves(db.pool(), "2 New Road", "YO1 7EP").await;
    execute(db.pool(), "update raw_ops.address_changes set seal_state = 'telling'").await;
    let refused = call_off(&db, change).await.expect_err("somebody is at it");
    assert!(refused.contains("is being told just now: Shopify is pending, Seal is telling"), "{refused}");
    execute(db.pool(), "update raw_ops.address_changes set seal_state = 'pending'").await;
    assert_eq!(call_off(&db, change).await, Ok(("not_needed".into(), "not_needed".into())));
    run_all(&db, outside.kinds()).await;
    execute(db.pool(), "update raw_ops.address_changes set created_at = now() - interval '6 minutes'").await;
    assert_eq!(sweep(&db, &outside).await, json!({ "started": 0, "refused": 0 }));
    assert_eq!((at_shopify(&outside).1, at_seal(&outside).1), (0, 0));
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind = 'address_change_called_off' and meta ->> 'by' = 'ann'").await, 1);
    let refused = call_off(&db, change).await.expect_err("it is called off");
    assert!(refused.contains("is told to nobody any more"), "{refused}");
    // The next one knows that Seal still has the address from before.
    let next = moves(db.pool(), "3 New Road", "YO1 7EP").await;
    let before = row(db.pool(), &format!("select raw_ops.addresses_before('{next}', 'seal')::text as known")).await;
    assert!(before["known"].as_str().expect("text").contains("1 Old Road"), "{before}");
    run_all(&db, outside.kinds()).await;
    assert_eq!((at_shopify(&outside).0, at_seal(&outside).0), (json!("3 New Road"), json!("3 New Road")));
}

/// While the sweep deals with one change, somebody begins to tell another that it has found: it leaves that one alone.
#[tokio::test]
async fn a_change_that_somebody_takes_up_while_the_sweep_is_under_way_is_left_alone() {
    let (db, outside) = settled().await;
    moves(db.pool(), "2 New Road", "YO1 7EP").await;
    moves(db.pool(), "3 New Road", "YO1 7EP").await;
    forget_jobs(&db).await;
    execute(
        db.pool(),
        "create function pause() returns trigger language plpgsql as 'begin perform pg_advisory_xact_lock(7); return new; end'",
    )
    .await;
    execute(
        db.pool(),
        "create trigger pause before update on raw_ops.address_changes for each row
         when (new.number = 1 and new.shopify_state = 'pending') execute function pause()",
    )
    .await;
    let mut holder = db.pool().begin().await.expect("a transaction begins");
    sqlx::query("select pg_advisory_xact_lock(7)").execute(&mut *holder).await.expect("it is free");
    let pool = db.pool().clone();
    let sweeping = tokio::spawn(async move {
        sqlx::query_as::<_, (i32, i32)>("select started, refused from raw_ops.sweep_address_changes()").fetch_one(&pool).await
    });
    until("the sweep is at the first", Duration::from_secs(20), async || {
        count(db.pool(), "pg_locks where locktype = 'advisory' and not granted").await > 0
    })
    .await;
    execute(db.pool(), "update raw_ops.address_changes set seal_state = 'telling', seal_begun_at = now() where number = 2").await;
    holder.rollback().await.expect("it ends");
    assert_eq!(sweeping.await.expect("no panic").expect("it sweeps"), (3, 0));
    assert_eq!(states(db.pool()).await, json!([["pending", "pending"], ["pending", "telling"]]));
    execute(db.pool(), "drop trigger pause on raw_ops.address_changes").await;
    run_all(&db, outside.kinds()).await;
}

#[tokio::test]
async fn rows_that_somebody_holds_are_passed_over_and_rows_that_are_refused_are_told_once() {
    let (db, outside) = settled().await;
    moves(db.pool(), "2 New Road", "YO1 7EP").await;
    moves(db.pool(), "3 New Road", "YO1 7EP").await;
    forget_jobs(&db).await;
    execute(db.pool(), "create function refuse() returns trigger language plpgsql as 'begin raise exception $x$no$x$; end'").await;
    execute(
        db.pool(),
        "create trigger refuse before update on raw_ops.address_changes for each row when (new.number = 1) execute function refuse()",
    )
    .await;
    let mut holder = db.pool().begin().await.expect("a transaction begins");
    let hold = "select from raw_ops.address_changes where number = 2 for update";
    sqlx::query(hold).execute(&mut *holder).await.expect("it is free");
    for _ in 0..2 {
        assert_eq!(sweep(&db, &outside).await, json!({ "started": 0, "refused": 2 }));
    }
    let alerts = "raw_ops.alert_log where idempotency_key = 'address changes refused' and delivery_status <> 'suppressed'";
    assert_eq!(count(db.pool(), alerts).await, 1);
    holder.rollback().await.expect("it ends");
    execute(db.pool(), "drop trigger refuse on raw_ops.address_changes").await;
    assert_eq!(sweep(&db, &outside).await, json!({ "started": 4, "refused": 0 }));
}
