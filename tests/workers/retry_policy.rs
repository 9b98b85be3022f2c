//! An edit of the retry policy decides the very next failure in every worker process.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use engine::{Client, NewJob, retry, retry::Draft};
use sqlx::PgPool;

use crate::support::{Database, kinds::Fail, ledger, process::WorkerOptions, wait::until};

const LIMIT: Duration = Duration::from_secs(30);
/// What the promise is: from the edit to its first use in each of the workers.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// The workers that have failed an attempt which this version decided.
async fn workers_on(pool: &PgPool, version: i32) -> BTreeSet<i64> {
    let workers: Vec<i64> =
        sqlx::query_scalar("select distinct worker_id from engine.attempt where outcome = 'failed' and policy_version = $1")
            .bind(version)
            .fetch_all(pool)
            .await
            .expect("the ledger can be read");
    workers.into_iter().collect()
}

/// When an attempt was last decided by a version.
async fn last_of(pool: &PgPool, version: i32) -> DateTime<Utc> {
    sqlx::query_scalar("select max(finished_at) from engine.attempt where policy_version = $1 and category = 'network'")
        .bind(version)
        .fetch_one(pool)
        .await
        .expect("the version was used")
}

#[tokio::test(flavor = "multi_thread")]
async fn four_worker_processes_follow_an_edit_within_5_seconds() {
    let db = Database::new().await;
    let pool = db.pool();
    let edit = async |draft: Draft| retry::set(pool, "ada", "network", None, &draft).await.expect("the policy is taken");
    let again_at_once = Draft { max_attempts: Some(1000), backoff_seconds: Some(vec![0]), ..Draft::default() };
    let mut version = edit(again_at_once).await.version;
    let options = WorkerOptions::new(db.url()).concurrency(3).batch(3);
    let processes = options.start_many(4);
    for process in &processes {
        ledger::worker_of(pool, process.pid()).await;
    }
    let job = NewJob::of(&Fail { category: "network".into(), times: i32::MAX }).expect("the arguments are JSON");
    Client::new(pool.clone()).enqueue_many(&vec![job; 60]).await.expect("the queue takes jobs");

    for round in 1..=3 {
        until("each worker has a failure by this version", LIMIT, async || workers_on(pool, version).await.len() == 4).await;
        let before = version;
        version = edit(Draft { max_attempts: Some(1000 - round), ..Draft::default() }).await.version;
        let edited_at = ledger::now(pool).await;
        assert_eq!(version, before + 1);
        let seen = until("each worker follows the edit", SEEN_WITHIN, async || workers_on(pool, version).await.len() == 4).await;
        // What was being recorded at that moment may still bear the earlier version; nothing later does.
        let late = last_of(pool, before).await - edited_at;
        assert!(late < chrono::TimeDelta::seconds(1), "a failure {late} after the edit was decided by the version before");
        println!("round {round}: four workers follow within {seen:?}");
    }
    edit(Draft { max_attempts: Some(1), ..Draft::default() }).await;
    ledger::all_ended(pool, LIMIT).await;
    let decided: (i64, i64) = sqlx::query_as(
        "select count(*) filter (where policy_version is null), count(*) filter (where outcome = 'dead' and policy_version = $1)
         from engine.attempt where outcome in ('failed', 'dead')",
    )
    .bind(version + 1)
    .fetch_one(pool)
    .await
    .expect("the ledger can be read");
    assert_eq!(decided, (0, 60), "each attempt says which version decided, and the last edit ended them all");
    ledger::check(pool).await;
}
