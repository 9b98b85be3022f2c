//! Thirty-two producers at once with one key, some of which roll back, at two isolation levels, beside workers.

use std::{sync::Arc, time::Duration};

use engine::{Enqueued, JobId, NewJob, WorkerConfig, store::doctor};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::PgPool;
use tokio::sync::Barrier;

use super::{
    hand::count,
    jobs::{Running, of},
};
use crate::support::{
    Database, kinds,
    kinds::{Fail, NoOp},
    wait,
};

const INSERTERS: usize = 32;
const ROUNDS: usize = 12;

/// One producer's transaction; `None` when it rolled back, or the database told it to try again.
async fn insert(pool: &PgPool, job: &NewJob, level: &'static str, commits: bool) -> Option<Enqueued> {
    let mut tx = pool.begin().await.expect("a transaction");
    sqlx::query(level).execute(&mut *tx).await.expect("set");
    match engine::enqueue_in(&mut tx, job).await {
        Ok(enqueued) if commits => tx.commit().await.is_ok().then_some(enqueued),
        Ok(_) => {
            tx.rollback().await.expect("rolled back");
            None
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("could not serialize") || text.contains("changed hands"), "{text}");
            None
        }
    }
}

/// All producers at once; what was answered to those that committed.
async fn race(pool: &PgPool, seed: u64, job: impl Fn(usize) -> NewJob) -> Vec<Enqueued> {
    const LEVELS: [&str; 2] = ["set transaction isolation level read committed", "set transaction isolation level repeatable read"];
    let mut chance = StdRng::seed_from_u64(seed);
    let start = Arc::new(Barrier::new(INSERTERS));
    let racers: Vec<_> = (0..INSERTERS)
        .map(|n| {
            let (pool, job, start) = (pool.clone(), job(n), start.clone());
            let (level, commits) = (LEVELS[chance.random_range(0..2)], chance.random_bool(0.6));
            tokio::spawn(async move {
                start.wait().await;
                insert(&pool, &job, level, commits).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for racer in racers {
        answers.extend(racer.await.expect("no racer panics"));
    }
    answers
}

async fn of_key(pool: &PgPool, key: &str, state: &'static str) -> Vec<JobId> {
    sqlx::query_scalar("select id from engine.job_state where unique_key = $1 and state = any (string_to_array($2, ' '))")
        .bind(key)
        .bind(state)
        .fetch_all(pool)
        .await
        .expect("ids")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_was_answered_has_a_job_and_there_is_one() {
    let db = Database::new().await;
    for round in 0..ROUNDS {
        let key = format!("round {round}");
        let answers = race(db.pool(), round as u64, |n| of(&NoOp { n: n as i64 }).unique_key(&key)).await;
        let live = of_key(db.pool(), &key, "ready scheduled").await;
        assert!(live.len() <= 1, "{key}: {live:?}");
        assert_eq!(answers.iter().filter(|answer| answer.created).count(), live.len(), "{key}");
        assert!(answers.iter().all(|answer| live.contains(&answer.id)), "{key}: who was answered has that job");
        let after = insert(db.pool(), &of(&NoOp { n: 99 }).unique_key(&key), "set transaction isolation level read committed", true).await;
        assert_eq!(after.expect("nobody is in the way").created, live.is_empty(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_replacements_that_race_the_last_one_stays() {
    let db = Database::new().await;
    for round in 0..ROUNDS {
        let key = format!("round {round}");
        let debounced = round % 2 == 1;
        let answers = race(db.pool(), 1000 + round as u64, |n| {
            let job = of(&NoOp { n: n as i64 }).unique_key(&key);
            if debounced { job.debounce(Duration::from_mins(1), Duration::from_hours(1)) } else { job.replace() }
        })
        .await;
        let live = of_key(db.pool(), &key, "ready scheduled").await;
        let replaced = of_key(db.pool(), &key, "cancelled").await;
        assert!(answers.iter().all(|answer| answer.created), "{key}: nothing of it ran");
        assert_eq!(live.len(), usize::from(!answers.is_empty()), "{key}: {live:?}");
        assert_eq!(live.len() + replaced.len(), answers.len(), "{key}: whoever committed made a job");
        assert!(live.iter().all(|id| answers.iter().any(|answer| answer.id == *id)), "{key}");
    }
    let strays = "select count(*) from engine.unique_key u where not exists (select from engine.place p where p.job_id = u.job_id)";
    assert_eq!(count(db.pool(), strays).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_way_to_be_unique_holds_beside_workers_that_run_and_retry() {
    let db = Database::new().await;
    sqlx::query("update engine.retry_config set backoff_seconds = '{0}'").execute(db.pool()).await.expect("quick retries");
    let workers: Vec<_> =
        (0..2).map(|_| Running::with(db.pool(), kinds::kinds(), WorkerConfig { concurrency: 4, ..WorkerConfig::default() })).collect();
    for round in 0..ROUNDS as u64 {
        race(db.pool(), 2000 + round, |n| {
            let job = of(&Fail { category: "conflict".into(), times: (n % 3) as i32 }).unique_key(format!("key {}", n % 2));
            match n % 5 {
                0 => job,
                1 => job.replace(),
                2 => job.unique_until_started(),
                3 => job.unique_until_started().replace(),
                _ => job.debounce(Duration::from_millis(20), Duration::from_millis(60)),
            }
        })
        .await;
    }
    wait::until("every job has ended", Duration::from_mins(1), || async {
        count(db.pool(), "select count(*) from engine.place").await == 0
    })
    .await;
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(count(db.pool(), "select count(*) from engine.unique_key").await, 0, "keys go with their jobs");
    assert_eq!(count(db.pool(), "select count(*) from engine.attempt where outcome = 'dead'").await, 0);
    let faults: Vec<_> = doctor::examine(db.pool()).await.expect("examined");
    assert!(faults.iter().all(|finding| finding.severity != doctor::Severity::Fault), "{faults:?}");
}
