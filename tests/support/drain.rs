//! A worker inside the test, for as long as there is work.

use std::time::Duration;

use engine::{Kinds, Worker, WorkerConfig};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{Database, wait::until};

/// Runs every job of these kinds, and those that they enqueue, until each has ended for good.
pub async fn run_all(db: &Database, kinds: Kinds) {
    run_until(db.pool(), kinds, "select not exists (select from engine.job_state where state not in ('completed', 'cancelled', 'dead'))")
        .await;
}

/// As [`run_all`], but for jobs of another day.
pub async fn run_due(db: &Database, kinds: Kinds) {
    run_due_on(db.pool(), kinds).await;
}

/// As [`run_due`], in the database of this pool.
pub async fn run_due_on(pool: &PgPool, kinds: Kinds) {
    let ended = "select not exists (select from engine.job_state where state not in ('completed', 'cancelled', 'dead')
                     and (state <> 'scheduled' or run_at < now() + interval '1 day'))";
    run_until(pool, kinds, ended).await;
}

/// Runs the jobs of these kinds until each has ended for good, and leaves those of others.
pub async fn run_kinds(db: &Database, kinds: Kinds) {
    let names = kinds.names();
    run_while(db.pool(), kinds, async || {
        let ended =
            "select not exists (select from engine.job_state where kind = any ($1) and state not in ('completed', 'cancelled', 'dead'))";
        sqlx::query_scalar(ended).bind(&names).fetch_one(db.pool()).await.expect("the state of jobs can be read")
    })
    .await;
}

async fn run_until(pool: &PgPool, kinds: Kinds, ended: &'static str) {
    run_while(pool, kinds, async || sqlx::query_scalar(ended).fetch_one(pool).await.expect("the state of jobs can be read")).await;
}

async fn run_while<F: Future<Output = bool>>(pool: &PgPool, kinds: Kinds, has_ended: impl FnMut() -> F) {
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(pool.clone(), kinds, WorkerConfig::default()).run(stop.clone()));
    until("every job has ended", Duration::from_mins(1), has_ended).await;
    stop.cancel();
    worker.await.expect("the worker does not panic").expect("its configuration is right");
}
