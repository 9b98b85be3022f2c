//! What is enqueued wakes the workers that sleep, and so does what a worker gives back.

use std::time::Duration;

use engine::{Client, NewJob, store::attempt::Verdict};
use sqlx::{PgPool, postgres::PgListener};

use super::hand::{Hand, ended};
use super::jobs::of;
use crate::{
    orders::inbox::execute,
    support::{Database, kinds::NoOp},
};

/// Longer than any notice takes: a test that waits so long has failed.
const IN_VAIN: Duration = Duration::from_mins(1);

fn job() -> NewJob {
    of(&NoOp { n: 1 })
}

/// Listens as a worker that sleeps does.
async fn sleeper(pool: &PgPool) -> (Hand, PgListener) {
    let hand = Hand::new(pool).await;
    sqlx::query("insert into engine.idle (worker_id) values ($1)").bind(hand.id).execute(pool).await.expect("asleep");
    let mut listener = PgListener::connect_with(pool).await.expect("a connection");
    listener.listen("rawops").await.expect("listening");
    (hand, listener)
}

async fn is_woken(listener: &mut PgListener, by: &str) {
    tokio::time::timeout(IN_VAIN, listener.recv()).await.unwrap_or_else(|_| panic!("nobody is woken by {by}")).expect("a notice");
}

#[tokio::test]
async fn every_way_into_ready_wakes_a_worker_that_sleeps() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let (mut hand, mut listener) = sleeper(db.pool()).await;

    client.enqueue(&job()).await.expect("enqueued");
    is_woken(&mut listener, "one job").await;
    client.enqueue(&job().limit_key("shop")).await.expect("enqueued");
    is_woken(&mut listener, "one job of a key").await;
    client.enqueue_many(&[job(), job()]).await.expect("enqueued");
    is_woken(&mut listener, "many jobs").await;
    client.enqueue_many(&[job().limit_key("shop"), job().limit_key("other")]).await.expect("enqueued");
    is_woken(&mut listener, "many jobs of keys").await;
    client.enqueue_copy(&[job(), job()]).await.expect("enqueued");
    is_woken(&mut listener, "jobs by COPY").await;
    execute(db.pool(), "select engine.enqueue_each('test.no_op', 'default', array['{}'::jsonb], array['a'])").await;
    is_woken(&mut listener, "jobs from SQL").await;
    let held = hand.take(1).await;
    hand.settle(&[ended(&held[0], Verdict::Released)]).await;
    is_woken(&mut listener, "a job that was given back").await;
}
