//! Who shares a limit of a queue or a kind with others has its turn too, and keeps nobody waiting while it has no room.

use std::time::Duration;

use engine::{
    Client, NewJob, WorkerConfig,
    store::{limit, pause::Scope, scheduled},
};
use sqlx::PgPool;

use super::{
    hand::{Hand, count},
    jobs::{Running, of, until_state},
};
use crate::support::{
    Database, kinds,
    kinds::{NoOp, Sleep},
    ledger,
};

async fn one_at_once(pool: &PgPool, scope: Scope, name: &str) {
    let change = limit::Change { cap: Some(Some(1)), ..limit::Change::default() };
    limit::set(pool, scope, name, change, "a test").await.expect("the limit is sound");
}

#[tokio::test]
async fn every_kind_of_a_limited_queue_has_its_turn_beside_a_backlog_of_another() {
    for (priority, of_backlog) in [(5, 5), (9, 0)] {
        let db = Database::new().await;
        one_at_once(db.pool(), Scope::Queue, "default").await;
        let client = Client::new(db.pool().clone());
        let backlog: Vec<NewJob> = (0..200).map(|_| of(&Sleep { ms: 100 }).priority(of_backlog)).collect();
        client.enqueue_many(&backlog).await.expect("enqueued");
        let other = client.enqueue(&of(&NoOp { n: 1 }).priority(priority)).await.expect("enqueued").id;
        let config = WorkerConfig { ageing: Duration::from_millis(200), ..WorkerConfig::default() };
        let worker = Running::with(db.pool(), kinds::kinds(), config);
        until_state(db.pool(), other, "completed").await;
        assert!(count(db.pool(), "select count(*) from engine.ready").await > 50, "the backlog has not ended");
        worker.stop().await;
        ledger::check(db.pool()).await;
    }
}

#[tokio::test]
async fn a_suspect_whose_kind_has_no_room_makes_nobody_wait() {
    let db = Database::new().await;
    one_at_once(db.pool(), Scope::Kind, "test.no_op").await;
    let client = Client::new(db.pool().clone());
    let suspect = client.enqueue(&of(&NoOp { n: 1 })).await.expect("enqueued").id;
    sqlx::query(
        "with gone as (delete from engine.ready returning lane_id, job_id)
         insert into engine.scheduled (run_at, job_id, lane_id, attempt, alone) select engine.now(), job_id, lane_id, 3, true from gone",
    )
    .execute(db.pool())
    .await
    .expect("lost twice");
    let mut hand = Hand::new(db.pool()).await;
    let is_due =
        async |hand: &mut Hand| scheduled::suspects_due(&mut hand.connection, hand.id, &hand.kinds, &hand.queues).await.expect("asked");
    assert!(is_due(&mut hand).await);
    let other = Hand::new(db.pool()).await.id;
    for (worker, due) in [(hand.id, true), (other, false)] {
        let held = "with held as (insert into engine.claim (worker_id, ids, attempts) values ($1, '{}', '{}') returning id)
            insert into engine.permit (claim_id, setting_id, jobs) select held.id, s.id, 1 from held, engine.limit_setting s";
        sqlx::query(held).bind(worker).execute(db.pool()).await.expect("another of its kind runs");
        assert_eq!(is_due(&mut hand).await, due, "for {suspect} a worker lets its own end, and no others");
    }
}
