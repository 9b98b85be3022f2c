//! A handler that snoozes for ever is slowed down, leaves a short ledger, and dies of it in the end.

use engine::{
    JobId,
    store::{attempt::Verdict, dead_letter, doctor},
};
use sqlx::PgPool;

use super::{
    hand::{Hand, count, due_now, ended, enqueue, promote},
    jobs::state_of,
};
use crate::support::Database;

async fn snooze_once(db: &Database, hand: &mut Hand) {
    let job = hand.take(1).await.remove(0);
    assert!(hand.settle(&[ended(&job, Verdict::Snoozed(0))]).await.is_empty());
    due_now(db.pool()).await;
    promote(&mut hand.connection).await;
}

async fn attempts(pool: &PgPool, id: JobId) -> i64 {
    sqlx::query_scalar("select count(*) from engine.attempt where job_id = $1").bind(id).fetch_one(pool).await.expect("a count")
}

/// As if the job had snoozed on until its next attempt has this number.
async fn skip_to(pool: &PgPool, attempt: i32) {
    let sql = "with old as (delete from engine.ready returning lane_id, job_id, position)
        insert into engine.ready (lane_id, job_id, position, attempt) select lane_id, job_id, position + 1000000, $1 from old";
    sqlx::query(sql).bind(attempt).execute(pool).await.expect("moved");
    let sql = "insert into engine.attempt (job_id, attempt, started_at, finished_at, outcome)
        select job_id, attempt - 1, engine.now(), engine.now(), 'snoozed' from engine.ready on conflict do nothing";
    sqlx::query(sql).execute(pool).await.expect("recorded");
}

#[tokio::test]
async fn a_long_run_of_snoozes_leaves_the_last_ones_and_the_ledger_stays_sound() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let id = enqueue(db.pool(), 1).await[0];
    for _ in 0..70 {
        snooze_once(&db, &mut hand).await;
        sqlx::query("update engine.attempt set finished_at = finished_at - interval '1 hour'").execute(db.pool()).await.expect("aged");
    }
    let left = attempts(db.pool(), id).await;
    assert!((16..=40).contains(&left), "{left} rows of 70 snoozes");
    assert_eq!(state_of(db.pool(), id).await, "ready");
    hand.die().await;
    sqlx::query("delete from engine.worker").execute(db.pool()).await.expect("gone");
    let findings = doctor::examine(db.pool()).await.expect("examined");
    assert!(findings.iter().all(|finding| finding.severity != doctor::Severity::Fault), "{findings:?}");
}

#[tokio::test]
async fn what_snoozed_a_moment_ago_keeps_its_fence() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let id = enqueue(db.pool(), 1).await[0];
    let first = hand.take(1).await.remove(0);
    hand.settle(&[ended(&first, Verdict::Snoozed(0))]).await;
    due_now(db.pool()).await;
    promote(&mut hand.connection).await;
    for _ in 0..40 {
        snooze_once(&db, &mut hand).await;
    }
    assert_eq!(attempts(db.pool(), id).await, 41);
    assert_eq!(hand.settle(&[ended(&first, Verdict::Snoozed(0))]).await, [(id, 1)], "an answer that was lost is told to be late");
    assert_eq!(count(db.pool(), "select count(*) from engine.place").await, 1);
}

#[tokio::test]
async fn a_job_that_only_snoozes_is_slowed_down_after_a_hundred_times() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 1).await;
    let waits = "select (1000 * extract(epoch from run_at - engine.now()))::bigint from engine.scheduled";
    let job = hand.take(1).await.remove(0);
    hand.settle(&[ended(&job, Verdict::Snoozed(0))]).await;
    assert!(count(db.pool(), waits).await <= 0);
    due_now(db.pool()).await;
    promote(&mut hand.connection).await;
    skip_to(db.pool(), 150).await;
    let job = hand.take(1).await.remove(0);
    hand.settle(&[ended(&job, Verdict::Snoozed(0))]).await;
    assert!(count(db.pool(), waits).await > 500);
}

#[tokio::test]
async fn the_hundred_thousandth_snooze_is_the_last_and_the_letter_says_so() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let id = enqueue(db.pool(), 1).await[0];
    // Past what a smallint holds on the way.
    for attempt in [32_766, 32_767, 32_768, 99_998, 99_999] {
        skip_to(db.pool(), attempt).await;
        snooze_once(&db, &mut hand).await;
    }
    assert_eq!(state_of(db.pool(), id).await, "ready");
    let job = hand.take(1).await.remove(0);
    assert_eq!(job.attempt, 100_000);
    hand.settle(&[ended(&job, Verdict::Snoozed(0))]).await;
    assert_eq!(state_of(db.pool(), id).await, "dead");
    let letters = dead_letter::list(db.pool(), &dead_letter::Filter::default(), 10).await.expect("letters");
    assert_eq!(letters[0].category.as_deref(), Some("bug"));
    assert_eq!(letters[0].error_message.as_deref(), Some("snoozed 100000 times, as often as a job may"));
}
