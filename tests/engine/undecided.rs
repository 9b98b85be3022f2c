//! An attempt that is stopped while one of its transactions may still commit ends after that.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use engine::{
    Client, Ending, Failure, Job, JobId, JobResult, Kinds, Outcome, Run, Together, Tx, WorkerConfig,
    store::{cancel_request::Cancelled, claim, worker},
};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::{Mutex, Notify};

use super::{
    cancels::cancel,
    jobs::{Running, of, state_of, until_state},
};
use crate::support::{
    Database,
    kinds::{NoOp, make_effect_table},
    ledger::{self, count},
    wait,
};

const LIMIT: Duration = Duration::from_secs(20);
/// Held, it keeps commits from ending.
const GATE: &str = "select pg_advisory_xact_lock(1)";
const WRITE: &str = "insert into test_effect (job_id, attempt) values ($1, $2)";

/// Writes in a transaction whose commit takes as long as the test wants, in an attempt of at most `SECONDS`.
#[derive(Serialize, Deserialize)]
struct SlowCommit<const SECONDS: u64> {}

impl<const SECONDS: u64> Job for SlowCommit<SECONDS> {
    const KIND: &'static str = "test.slow_commit";
    const TIMEOUT: Duration = Duration::from_secs(SECONDS);

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        sqlx::query(WRITE).bind(run.job_id()).bind(run.attempt()).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(Outcome::done())
    }
}

/// Passes over a statement that failed.
#[derive(Serialize, Deserialize)]
struct Careless {}

impl Job for Careless {
    const KIND: &'static str = "test.careless";

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        let failed = sqlx::query("select 1 / 0").execute(&mut *tx).await;
        assert!(failed.is_err());
        tx.commit().await?;
        Ok(Outcome::done())
    }
}

/// The call of [`SlowTogether`] has both transactions, and may go on.
static ALL_BEGUN: AtomicBool = AtomicBool::new(false);
static GO_ON: Notify = Notify::const_new();

/// Two of a kind in one call, which does not hear that the first of them is cancelled.
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
        let begun = join_all(jobs.iter().map(|(_, run)| run.begin())).await;
        ALL_BEGUN.store(begun.iter().all(Result::is_ok), Ordering::Release);
        GO_ON.notified().await;
        join_all(begun.into_iter().zip(jobs).map(|(tx, (_, run))| write(tx, run))).await
    }
}

async fn write(tx: JobResult<Tx>, run: &Run) -> JobResult {
    let mut tx = tx?;
    sqlx::query(WRITE).bind(run.job_id()).bind(run.attempt()).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(Outcome::done())
}

/// Makes each commit of a row of the effects wait for [`GATE`], and write another row at its end.
async fn make_commits_slow(pool: &PgPool) {
    make_effect_table(pool).await;
    for sql in [
        "create function linger() returns trigger language plpgsql as 'begin perform pg_advisory_xact_lock_shared(1); insert into test_effect (job_id, attempt) values (new.job_id, new.attempt); return null; end'",
        "create constraint trigger linger after insert on test_effect deferrable initially deferred for each row when (pg_trigger_depth() = 0) execute function linger()",
    ] {
        sqlx::query(sql).execute(pool).await.expect("a commit is slow");
    }
}

const WRITTEN_LATE: &str = "select count(*) from test_effect e join engine.attempt a using (job_id, attempt) where e.at > a.finished_at";

/// Starts a job whose commit takes long, stops it then, and waits for its end.
async fn stopped_during_its_commit<const SECONDS: u64>(how: impl AsyncFnOnce(&PgPool, JobId), state: &str) {
    let db = Database::new().await;
    make_commits_slow(db.pool()).await;
    let id = Client::new(db.pool().clone()).enqueue(&of(&SlowCommit::<SECONDS> {}).max_attempts(1)).await.expect("enqueued").id;
    let mut gate = db.pool().begin().await.expect("a transaction can begin");
    sqlx::query(GATE).execute(&mut *gate).await.expect("no commit is under way");
    let worker = Running::with(db.pool(), Kinds::new().with::<SlowCommit<SECONDS>>(), WorkerConfig::default());
    // Others commit as well, but not through the gate.
    let commits =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'advisory' and query ilike 'commit%'";
    wait::until("it is being committed", LIMIT, || async { count(db.pool(), commits).await > 0 }).await;
    how(db.pool(), id).await;
    let asks = "select count(*) from pg_stat_activity where datname = current_database() and starts_with(query, '-- Try to lock jobs')";
    wait::until("its worker waits for the commit", LIMIT, || async { count(db.pool(), asks).await > 0 }).await;
    assert_eq!(state_of(db.pool(), id).await, "running");
    gate.commit().await.expect("the gate opens");
    until_state(db.pool(), id, state).await;
    assert_eq!(count(db.pool(), "select count(*) from test_effect").await, 2, "its effects are there when it has ended");
    assert_eq!(count(db.pool(), WRITTEN_LATE).await, 0);
    let timed_out = "select count(*) from engine.attempt where category = 'timeout' and error = 'the attempt ran longer than 1 s'";
    assert_eq!(count(db.pool(), timed_out).await, i64::from(state == "dead"));
    worker.stop().await;
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn a_job_that_is_cancelled_during_its_commit_ends_after_it() {
    let cancelling = async |pool: &PgPool, id| assert_eq!(cancel(pool, id).await, Cancelled::Requested);
    stopped_during_its_commit::<60>(cancelling, "cancelled").await;
}

#[tokio::test]
async fn a_job_that_times_out_during_its_commit_ends_after_it() {
    stopped_during_its_commit::<1>(async |_: &PgPool, _| (), "dead").await;
}

#[tokio::test]
async fn a_job_of_a_call_commits_nothing_after_it_was_cancelled() {
    let db = Database::new().await;
    make_effect_table(db.pool()).await;
    let client = Client::new(db.pool().clone());
    let ids: Vec<JobId> =
        client.enqueue_many(&[of(&SlowTogether {}), of(&SlowTogether {})]).await.expect("enqueued").into_iter().flatten().collect();
    let worker = Running::with(db.pool(), Kinds::new().with_together::<SlowTogether>(), WorkerConfig::default());
    wait::until("both transactions are open", LIMIT, || async { ALL_BEGUN.load(Ordering::Acquire) }).await;
    assert_eq!(cancel(db.pool(), ids[0]).await, Cancelled::Requested);
    until_state(db.pool(), ids[0], "cancelled").await;
    GO_ON.notify_one();
    until_state(db.pool(), ids[1], "completed").await;
    assert_eq!(count(db.pool(), "select count(*) from test_effect").await, 1, "that of the other");
    assert_eq!(count(db.pool(), WRITTEN_LATE).await, 0);
    worker.stop().await;
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn a_commit_that_is_never_answered_is_decided_by_ending_its_session() {
    let db = Database::new().await;
    let mut connection = db.pool().acquire().await.expect("the test's database answers");
    let mut open = db.pool().begin().await.expect("a transaction can begin");
    let job = JobId(7);
    sqlx::query("select pg_advisory_xact_lock_shared(hashtextextended('engine.attempt', 7))").execute(&mut *open).await.expect("locked");
    assert!(!claim::is_let_go(&mut connection, job).await.expect("asked"));
    assert_eq!(worker::end_commits(&mut connection, JobId(8)).await.expect("ended"), 0, "it holds another");
    assert_eq!(worker::end_commits(&mut connection, job).await.expect("ended"), 1);
    let asker = Mutex::new(connection);
    wait::until("the job is let go", LIMIT, || async { claim::is_let_go(&mut *asker.lock().await, job).await.expect("asked") }).await;
    open.commit().await.expect_err("its session is over");
}

#[tokio::test]
async fn a_failed_statement_that_is_passed_over_fails_the_commit() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let id = client.enqueue(&of(&Careless {}).max_attempts(1)).await.expect("enqueued").id;
    let worker = Running::with(db.pool(), Kinds::new().with::<Careless>(), WorkerConfig::default());
    let end = client.wait_for_end(id, LIMIT).await.expect("the job exists").expect("it ends in time");
    let Ending::Dead { error: Some(error), .. } = &end else { panic!("{end:?}") };
    assert!(error.contains("current transaction is aborted"), "{error}");
    worker.stop().await;
}

/// Has each commit of a claim wait until nobody keeps the gate, as it waits for a standby.
async fn slow_claims(db: &Database) {
    for sql in [
        "create function linger() returns trigger language plpgsql as 'begin perform pg_advisory_xact_lock_shared(1); return null; end'",
        "create constraint trigger linger after insert on engine.claim deferrable initially deferred for each row execute function linger()",
    ] {
        sqlx::query(sql).execute(db.pool()).await.expect("a claim's commit is slow");
    }
}

/// The claims whose commit waits.
const CLAIMS: &str = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'advisory' and starts_with(query, '-- Claim')";

#[tokio::test]
async fn a_worker_that_goes_before_its_claim_is_answered_does_not_sign_off() {
    let db = Database::new().await;
    slow_claims(&db).await;
    let mut gate = db.pool().begin().await.expect("a transaction can begin");
    sqlx::query(GATE).execute(&mut *gate).await.expect("no commit is under way");
    let id = Client::new(db.pool().clone()).enqueue(&of(&NoOp { n: 1 })).await.expect("enqueued").id;
    let config = || WorkerConfig { lease: Duration::from_secs(1), ..WorkerConfig::default() };
    let going = Running::with(db.pool(), Kinds::new().with::<NoOp>(), config());
    wait::until("its claim is being committed", LIMIT, || async { count(db.pool(), CLAIMS).await > 0 }).await;
    going.stop().await;
    assert_eq!(count(db.pool(), "select count(*) from engine.worker where dead_at is null").await, 1, "nobody says that it is over");
    let other = Running::with(db.pool(), Kinds::new().with::<NoOp>(), config());
    wait::until("it is declared dead", LIMIT, || async {
        count(db.pool(), "select count(*) from engine.worker where dead_at is not null").await == 1
    })
    .await;
    gate.commit().await.expect("the gate opens");
    until_state(db.pool(), id, "completed").await;
    let lost = "select count(*) from engine.attempt a join engine.worker w on w.id = a.worker_id where a.outcome = 'lost' and w.dead_at <= a.finished_at";
    assert_eq!(count(db.pool(), lost).await, count(db.pool(), "select count(*) - 1 from engine.attempt").await);
    other.stop().await;
    ledger::check(db.pool()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_is_answered_while_its_worker_goes_is_given_back() {
    let db = Database::new().await;
    slow_claims(&db).await;
    for n in 0..20 {
        let mut gate = db.pool().begin().await.expect("a transaction can begin");
        sqlx::query(GATE).execute(&mut *gate).await.expect("no commit is under way");
        Client::new(db.pool().clone()).enqueue(&of(&NoOp { n })).await.expect("enqueued");
        let going = Running::with(db.pool(), Kinds::new().with::<NoOp>(), WorkerConfig::default());
        wait::until("its claim is being committed", LIMIT, || async { count(db.pool(), CLAIMS).await > 0 }).await;
        // It holds nothing when it is told to stop, and then it does.
        let ((), opened) = tokio::join!(going.stop(), gate.commit());
        opened.expect("the gate opens");
        let left = "select (select count(*) from engine.claim) + (select count(*) from engine.worker)";
        assert_eq!(count(db.pool(), left).await, 0, "round {n}: it signed off and holds nothing");
    }
    let lost = "select count(*) from engine.attempt where outcome not in ('released', 'completed')";
    assert_eq!(count(db.pool(), lost).await, 0, "what did not run before was given back");
    ledger::check(db.pool()).await;
}
