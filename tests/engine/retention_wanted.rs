//! What somebody may still ask for is not forgotten: workflows with an open letter, and what undoes one.

use engine::{
    Client, JobId, StoreError,
    store::{cancel_request, dead_letter, partition, retention, workflow},
};
use uuid::Uuid;

use super::hand::{count, enqueue};
use super::jobs::{Running, state_of, until_state};
use super::workflows::{LIMIT, output, start, with_traces};
use crate::support::{
    Database, clock,
    flows::{Act, trace},
    wait,
};

const DAY: f64 = 86_400.0;

async fn forget(db: &Database) -> i64 {
    retention::forget_ended(&mut db.pool().acquire().await.expect("a connection"), 1000).await.expect("asked")
}

/// The first partition goes, which is full.
async fn drop_first(db: &Database) {
    sqlx::query("select setval('engine.position', 10000001)").execute(db.pool()).await.expect("full");
    let dropped = async || partition::drop_expired(&mut db.pool().acquire().await.expect("a connection")).await;
    // While a vacuum is in the way the drop gives up.
    wait::until("it goes", LIMIT, async || dropped().await.ok().flatten() == Some(10_000_000)).await;
}

async fn letter(db: &Database, topic: &str) -> Uuid {
    sqlx::query_scalar("select id from engine.dead_letter_queue where topic = $1 and not resolved")
        .bind(topic)
        .fetch_one(db.pool())
        .await
        .expect("an open letter")
}

async fn known(db: &Database, id: JobId) -> bool {
    sqlx::query_scalar("select exists (select from engine.job where id = $1)").bind(id).fetch_one(db.pool()).await.expect("asked")
}

/// Until a workflow is dead and what follows from that is done.
async fn until_dead(db: &Database, id: JobId) {
    until_state(db.pool(), id, "dead").await;
    wait::until("what follows is done", LIMIT, async || count(db.pool(), "select count(*) from engine.aftermath").await == 0).await;
}

#[tokio::test]
async fn what_an_open_letter_would_run_again_stays_until_somebody_deals_with_it() {
    for drops in [false, true] {
        let db = with_traces().await;
        clock::own(db.pool()).await;
        // Its first failure is its last: the policy says so for the time being.
        let only_once = "update engine.retry_config set max_attempts = 1, alert_on_attempt = 1, escalate_on_attempt = 1 where error_category = 'network'";
        sqlx::query(only_once).execute(db.pool()).await.expect("edited");
        let id = start(&db, vec![Act::Step("paid".into()), Act::Fail(1), Act::Step("sent".into())]).await;
        let worker = Running::start(db.pool(), 1);
        until_dead(&db, id).await;
        worker.stop().await;
        clock::step(db.pool(), 200.0 * DAY).await;
        if drops {
            drop_first(&db).await;
        }
        assert_eq!(forget(&db).await, 0, "dropped: {drops}");
        assert!(known(&db, id).await);

        let again = dead_letter::requeue(db.pool(), letter(&db, "test.flow").await, "ann", None).await.expect("requeued");
        assert_eq!(forget(&db).await, 1, "nobody waits for it any more");
        let worker = Running::start(db.pool(), 1);
        until_dead(&db, again).await;
        worker.stop().await;
        let third = dead_letter::requeue(db.pool(), letter(&db, "test.flow").await, "ann", None).await.expect("requeued");
        sqlx::query("update engine.job set args = jsonb_set(args, '{acts,1}', '{\"fail\": 0}') where id = $1")
            .bind(third)
            .execute(db.pool())
            .await
            .expect("mended");
        let worker = Running::start(db.pool(), 1);
        output(&db, third).await;
        worker.stop().await;
        assert_eq!(trace(db.pool(), id).await, [("paid".to_string(), 1)]);
        assert_eq!(count(db.pool(), "select count(*) from test_trace").await, 2, "it has paid once, and sent");
        clock::step(db.pool(), 200.0 * DAY).await;
        forget(&db).await;
        assert_eq!(count(db.pool(), "select count(*) from engine.restart").await, 0);
    }
}

#[tokio::test]
async fn what_undoes_a_workflow_stays_until_it_is_undone_or_given_up() {
    for requeues in [false, true] {
        let db = with_traces().await;
        clock::own(db.pool()).await;
        sqlx::query("alter table test_trace add constraint trap check (name <> 'undo')").execute(db.pool()).await.expect("a trap");
        let id = start(&db, vec![Act::Undo("undo".into()), Act::Wait("never".into(), String::new(), None)]).await;
        let worker = Running::start(db.pool(), 2);
        until_state(db.pool(), id, "parked").await;
        cancel_request::cancel(db.pool(), id, "ann", None).await.expect("asked");
        let died = "select count(*) from engine.dead_letter_queue where topic = 'engine.unwind'";
        wait::until("its undoing dies", LIMIT, async || count(db.pool(), died).await == 1).await;
        worker.stop().await;
        clock::step(db.pool(), 8.0 * DAY).await;
        drop_first(&db).await;
        assert_eq!(forget(&db).await, 0);
        assert_eq!(state_of(db.pool(), id).await, "cancelled");
        let letter = letter(&db, "engine.unwind").await;
        if requeues {
            sqlx::query("alter table test_trace drop constraint trap").execute(db.pool()).await.expect("mended");
            let again = dead_letter::requeue(db.pool(), letter, "ann", None).await.expect("requeued");
            assert_eq!(forget(&db).await, 0, "it is being undone");
            let worker = Running::start(db.pool(), 2);
            let end = Client::new(db.pool().clone()).wait_for_end(again, LIMIT).await.expect("it exists").expect("it ends");
            assert!(end.output::<serde_json::Value>().expect("JSON").is_some(), "{end:?}");
            worker.stop().await;
            assert_eq!(count(db.pool(), "select count(*) from test_trace where name = 'undo'").await, 1);
        } else {
            dead_letter::discard(db.pool(), letter, "ann", "by hand").await.expect("discarded");
        }
        // Unless its worker has been quicker.
        forget(&db).await;
        assert!(!known(&db, id).await);
    }
}

#[tokio::test]
async fn a_dead_workflow_that_is_restarted_needs_nobody_to_requeue_it() {
    let db = with_traces().await;
    let id = start(&db, vec![Act::Step("paid".into()), Act::Die]).await;
    let worker = Running::start(db.pool(), 1);
    until_dead(&db, id).await;
    worker.stop().await;
    let dead = letter(&db, "test.flow").await;
    enqueue(db.pool(), 1).await;
    for full in ["select engine.measure_figures(0)", "insert into engine.queue (name, depth_limit) values ('default', 1)"] {
        sqlx::query(full).execute(db.pool()).await.expect("the queue takes nothing");
    }
    let refused = workflow::restart(db.pool(), id, 2, "ann").await.expect_err("it is full");
    assert!(matches!(refused, StoreError::QueueFull(_)), "{refused}");
    let refused = workflow::restart(db.pool(), JobId(i64::MAX), 1, "ann").await.expect_err("there is none");
    assert!(matches!(refused, StoreError::NoSuchWorkflow(_)), "{refused}");
    sqlx::query("delete from engine.queue").execute(db.pool()).await.expect("it takes jobs again");
    let again = workflow::restart(db.pool(), id, 2, "ann").await.expect("restarted").job_id;
    let shown = dead_letter::show(db.pool(), dead).await.expect("it is kept");
    assert_eq!((shown.resolved, shown.requeued_job_id), (true, Some(again)));
    let refused = dead_letter::requeue(db.pool(), dead, "bob", None).await.expect_err("it runs already").to_string();
    assert!(refused.ends_with("is resolved already: restarted from step 2"), "{refused}");
}
