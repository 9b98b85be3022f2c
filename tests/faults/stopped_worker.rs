//! SIGSTOP of a worker past its lease: it comes back as a zombie, and nothing that it writes then counts.

use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::{Client, JobId, NewJob};
use sqlx::PgPool;

use crate::support::{
    Database,
    kinds::{self, HangInCommit},
    ledger,
    process::WorkerOptions,
    wait,
    witness::{self, Stubborn, Tally, Way},
};

const SOON: Duration = Duration::from_secs(20);
/// From the stop to the start of the next attempt.
const BACK_WITHIN: Duration = Duration::from_secs(5);

fn stubborn(way: Way) -> NewJob {
    NewJob::of(&Stubborn { ms: 700, way }).expect("arguments serialise")
}

fn tally(ms: u64) -> NewJob {
    NewJob::of(&Tally { ms }).expect("arguments serialise")
}

async fn is_dead(pool: &PgPool, worker: i64) -> bool {
    sqlx::query_scalar("select dead_at is not null from engine.worker where id = $1")
        .bind(worker)
        .fetch_one(pool)
        .await
        .expect("its row is kept")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_continued_past_its_lease_writes_nothing_that_counts() {
    let db = Database::new().await;
    let pool = db.pool();
    witness::make_note_table(pool).await;
    kinds::make_effect_table(pool).await;
    let options = WorkerOptions::new(db.url()).concurrency(24).lease(Duration::from_secs(1));
    let zombie = options.start();
    let worker = ledger::worker_of(pool, zombie.pid()).await;
    let ways = [stubborn(Way::Effect), stubborn(Way::HeldEffect), stubborn(Way::Child), stubborn(Way::Progress), tally(700)];
    let client = Client::new(pool.clone());
    // One way at a time fills the worker evenly, held transactions included: it has 12 connections for handlers.
    let jobs: Vec<NewJob> = (0..20).map(|n| ways[n % 5].clone()).collect();
    client.enqueue_many(&jobs).await.expect("enqueued");
    wait::until("it runs all", SOON, || async { witness::notes_of(pool, worker, "started").await == 20 }).await;
    zombie.signal("STOP");
    let others = options.start_many(2);
    ledger::all_ended(pool, SOON).await;
    assert!(is_dead(pool, worker).await);

    zombie.signal("CONT");
    wait::until("the zombie has tried to write", SOON, || async { witness::notes_of(pool, worker, "refused").await == 16 }).await;
    assert_ne!(ledger::worker_of(pool, zombie.pid()).await, worker, "it begins anew");
    ledger::all_ended(pool, SOON).await;
    drop(others);

    assert_eq!(witness::notes_of(pool, worker, "wrote").await, 0);
    let outcomes = ledger::outcomes(pool).await;
    let refusals: Vec<(String, i64)> =
        sqlx::query_as("select what, count(*) from test_note where starts_with(what, 'refused') group by what")
            .fetch_all(pool)
            .await
            .expect("notes");
    println!("attempts: {outcomes:?}; late writes {refusals:?}");
    assert_eq!(ledger::outcome_of(pool, worker, "lost").await, 20, "every attempt of the zombie");
    assert_eq!(outcomes["completed"], 24, "20 jobs and 4 children");
    one_each(pool).await;
    ledger::check(pool).await;

    // It works again, as the new worker that it is; as a third or fourth where the machine stood still for a second.
    let last = client.enqueue(&tally(1)).await.expect("enqueued").id;
    ledger::all_ended(pool, SOON).await;
    let (pid, reborn) = completed_by(pool, last).await;
    assert_eq!(pid, i64::from(zombie.pid()));
    assert!(reborn > worker, "not as {worker}, whose time is over");
}

/// The process that completed a job, and which worker it was.
async fn completed_by(pool: &PgPool, job: JobId) -> (i64, i64) {
    sqlx::query_as(
        "select (w.info ->> 'pid')::bigint, w.id from engine.attempt a join engine.worker w on w.id = a.worker_id
         where a.job_id = $1 and a.outcome = 'completed'",
    )
    .bind(job)
    .fetch_one(pool)
    .await
    .expect("the ledger can be read")
}

/// One effect a job that has one, one child a job of that way.
async fn one_each(pool: &PgPool) {
    let effects: Vec<i64> = sqlx::query_scalar("select count(*) from test_effect group by job_id").fetch_all(pool).await.expect("effects");
    assert_eq!(effects, [1; 12], "exactly one effect for each job that has one");
    let children: Vec<i64> = sqlx::query_scalar("select count(*) from engine.job where parent_id is not null group by parent_id")
        .fetch_all(pool)
        .await
        .expect("children");
    assert_eq!(children, [1; 4], "exactly one child for each job that has one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stopped_inside_a_commit_keeps_no_other_job_waiting() {
    let db = Database::new().await;
    let pool = db.pool();
    witness::make_note_table(pool).await;
    kinds::make_effect_table(pool).await;
    let options = WorkerOptions::new(db.url()).concurrency(12);
    let hung = options.start();
    let worker = ledger::worker_of(pool, hung.pid()).await;
    let hanging = NewJob::of(&HangInCommit {}).expect("arguments serialise");
    // One claim holds them all: the open transaction has a lock on its row.
    Client::new(pool.clone()).enqueue_many(&[vec![tally(1000); 9], vec![hanging]].concat()).await.expect("enqueued");
    let inside =
        || async { ledger::count(pool, "select count(*) from test_effect").await == 1 && witness::notes(pool, "started").await == 9 };
    wait::until("one is between its attempt's row and its COMMIT, the others run", SOON, inside).await;
    let others = options.start_many(2);
    for process in &others {
        ledger::worker_of(pool, process.pid()).await;
    }
    let stopped_at = ledger::now(pool).await;
    hung.signal("STOP");

    ledger::all_ended(pool, SOON).await;
    let back = ledger::picked_up_after(pool, worker, stopped_at).await;
    assert_eq!(back.len(), 10, "nine others, and the one whose session the rescuer ended");
    let longest = ledger::spread("stopped inside a COMMIT: from the stop to the next attempt", &back);
    assert!(longest <= BACK_WITHIN, "a job was back only after {longest:?}");

    hung.signal("CONT");
    assert_ne!(ledger::worker_of(pool, hung.pid()).await, worker, "it begins anew");
    assert_eq!(ledger::outcome(pool, "completed").await, 10);
    ledger::check(pool).await;
}

/// A transaction that holds what a handler's does, in a session that no rescuer can know for the worker's.
async fn hold(pool: &PgPool, job: JobId) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut tx = pool.begin().await.expect("a transaction");
    sqlx::query(
        "select pg_advisory_xact_lock_shared(hashtextextended('engine.attempt', $1)) from engine.claim c where c.ids @> array[$1] for key share of c",
    )
    .bind(job)
    .execute(&mut *tx)
    .await
    .expect("the locks are free");
    tx
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_transaction_that_nobody_can_end_holds_back_its_own_job_alone() {
    let db = Database::new().await;
    let pool = db.pool();
    witness::make_note_table(pool).await;
    let options = WorkerOptions::new(db.url()).concurrency(12);
    let hung = options.start();
    let worker = ledger::worker_of(pool, hung.pid()).await;
    let jobs = Client::new(pool.clone()).enqueue_many(&vec![tally(1000); 10]).await.expect("enqueued");
    wait::until("it runs all", SOON, || async { witness::notes(pool, "started").await == 10 }).await;
    let held = jobs[4].expect("it is new");
    let transaction = hold(pool, held).await;
    let others = options.start_many(2);
    for process in &others {
        ledger::worker_of(pool, process.pid()).await;
    }
    let stopped_at = ledger::now(pool).await;
    hung.signal("STOP");

    wait::until("the nine others end", SOON, || async { ledger::outcome(pool, "completed").await == 9 }).await;
    let back = ledger::picked_up_after(pool, worker, stopped_at).await;
    let longest = ledger::spread("beside a hung transaction: from the stop to the next attempt", &back);
    assert!(back.len() == 9 && longest <= BACK_WITHIN, "{} jobs were back, the last after {longest:?}", back.len());
    assert_eq!(ledger::held_by(pool, worker).await, 1, "the one whose transaction is open stays");

    let freed_at: DateTime<Utc> = ledger::now(pool).await;
    transaction.rollback().await.expect("rolled back");
    ledger::all_ended(pool, SOON).await;
    let last: DateTime<Utc> = sqlx::query_scalar("select started_at from engine.attempt where job_id = $1 and attempt = 2")
        .bind(held)
        .fetch_one(pool)
        .await
        .expect("it ran again");
    println!("the held job ran {:?} after its transaction ended", (last - freed_at).to_std().unwrap_or_default());
    assert_eq!(ledger::outcome(pool, "completed").await, 10);
    ledger::check(pool).await;
}
