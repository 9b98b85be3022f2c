//! An attempt that is stopped while one of its transactions may still commit ends after that.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use engine::{Client, Failure, Job, JobId, JobResult, Kinds, Outcome, Run, Together, Tx, WorkerConfig};
use serde::{Deserialize, Serialize};

use super::{
    cancels::cancel,
    jobs::{Running, of, until_state},
};
use crate::support::{
    Database,
    kinds::make_effect_table,
    ledger::{self, count},
    wait,
};

const LIMIT: Duration = Duration::from_secs(20);
const WRITE: &str = "insert into test_effect (job_id, attempt) values ($1, $2)";

/// Writes in a transaction whose commit takes a while.
#[derive(Serialize, Deserialize)]
struct SlowCommit {}

impl Job for SlowCommit {
    const KIND: &'static str = "test.slow_commit";

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        sqlx::query(WRITE).bind(run.job_id()).bind(run.attempt()).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(Outcome::done())
    }
}

/// The call of [`SlowTogether`] has both transactions.
static ALL_BEGUN: AtomicBool = AtomicBool::new(false);

/// Two of a kind in one call, each in a transaction that is open while the first of them is cancelled.
#[derive(Serialize, Deserialize)]
struct SlowTogether {}

impl Job for SlowTogether {
    const KIND: &'static str = "test.slow_together";

    async fn run(&self, _: &mut Run) -> JobResult {
        Err(Failure::bug("its jobs are run together"))
    }
}

impl Together for SlowTogether {
    const AT_MOST: usize = 2;
    const LINGER: Duration = Duration::from_secs(20);

    async fn run_together(jobs: &mut [(Self, Run)]) -> Vec<JobResult> {
        let begun = futures_util::future::join_all(jobs.iter().map(|(_, run)| run.begin())).await;
        ALL_BEGUN.store(true, Ordering::Release);
        // As long as the call takes: it does not hear that one of its jobs is not wanted any more.
        tokio::time::sleep(Duration::from_secs(2)).await;
        futures_util::future::join_all(begun.into_iter().zip(jobs).map(|(tx, (_, run))| write(tx, run))).await
    }
}

async fn write(tx: JobResult<Tx>, run: &Run) -> JobResult {
    let mut tx = tx?;
    sqlx::query(WRITE).bind(run.job_id()).bind(run.attempt()).execute(&mut *tx).await?;
    tx.commit().await?;
    // What begins after the end is refused.
    run.begin().await?;
    Ok(Outcome::done())
}

const WRITTEN_LATE: &str = "select count(*) from test_effect e join engine.attempt a using (job_id, attempt) where e.at > a.finished_at";

#[tokio::test]
async fn a_job_that_is_cancelled_during_its_commit_ends_after_it() {
    let db = Database::new().await;
    make_effect_table(db.pool()).await;
    for sql in [
        "create function linger() returns trigger language plpgsql as 'begin perform pg_sleep(2); insert into test_effect (job_id, attempt) values (new.job_id, new.attempt); return null; end'",
        "create constraint trigger linger after insert on test_effect deferrable initially deferred for each row when (pg_trigger_depth() = 0) execute function linger()",
    ] {
        sqlx::query(sql).execute(db.pool()).await.expect("a commit is slow");
    }
    let id = Client::new(db.pool().clone()).enqueue(&of(&SlowCommit {})).await.expect("enqueued").id;
    let worker = Running::with(db.pool(), Kinds::new().with::<SlowCommit>(), WorkerConfig::default());
    let commits = "select count(*) from pg_stat_activity where datname = current_database() and state = 'active' and query ilike 'commit%'";
    wait::until("it is being committed", LIMIT, || async { count(db.pool(), commits).await > 0 }).await;
    cancel(db.pool(), id).await;
    until_state(db.pool(), id, "cancelled").await;
    assert_eq!(count(db.pool(), "select count(*) from test_effect").await, 2, "its effects are there when it has ended");
    assert_eq!(count(db.pool(), WRITTEN_LATE).await, 0);
    worker.stop().await;
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn a_job_of_a_call_that_is_cancelled_ends_when_its_transaction_has() {
    let db = Database::new().await;
    make_effect_table(db.pool()).await;
    let client = Client::new(db.pool().clone());
    let ids: Vec<JobId> =
        client.enqueue_many(&[of(&SlowTogether {}), of(&SlowTogether {})]).await.expect("enqueued").into_iter().flatten().collect();
    let worker = Running::with(db.pool(), Kinds::new().with_together::<SlowTogether>(), WorkerConfig::default());
    wait::until("its transaction is open", LIMIT, || async { ALL_BEGUN.load(Ordering::Acquire) }).await;
    cancel(db.pool(), ids[0]).await;
    until_state(db.pool(), ids[0], "cancelled").await;
    until_state(db.pool(), ids[1], "completed").await;
    assert_eq!(count(db.pool(), "select count(*) from test_effect").await, 2);
    assert_eq!(count(db.pool(), WRITTEN_LATE).await, 0);
    worker.stop().await;
    ledger::check(db.pool()).await;
}
