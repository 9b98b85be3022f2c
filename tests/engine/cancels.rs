//! A cancel reaches a job wherever it stands, also while it moves, and a handler that listens ends in order.

use std::time::{Duration, Instant};

use engine::{
    Category, Client, Ending, Job, JobId, JobResult, Kinds, Outcome, Run, WorkerConfig,
    store::{
        cancel_request::{self, Cancelled},
        claim::{self, Orphan},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{Connection, PgPool};
use tokio::sync::Notify;

use super::{
    hand::{Hand, count, done, ended, enqueue, failed},
    jobs::{Running, of, outcomes, state_of, until_state},
};
use crate::support::{Database, kinds::NoOp, ledger, wait};

/// Works until it is told to stop, then says how far it came.
#[derive(Serialize, Deserialize)]
struct Heedful {
    deaf: bool,
}

impl Job for Heedful {
    const KIND: &'static str = "test.heedful";

    async fn run(&self, run: &mut Run) -> JobResult {
        run.cancelled().await;
        if self.deaf {
            std::future::pending::<()>().await;
        }
        Ok(Outcome::Done(json!({ "tidied": true })))
    }
}

/// Counts in a thread of its own, which asks whether it should go on.
#[derive(Serialize, Deserialize)]
struct Blocking {}

impl Job for Blocking {
    const KIND: &'static str = "test.blocking";

    async fn run(&self, run: &mut Run) -> JobResult {
        let stop = run.stop_token();
        let rounds = tokio::task::spawn_blocking(move || {
            let mut rounds = 0_u64;
            while !stop.is_cancelled() {
                rounds += 1;
                std::thread::yield_now();
            }
            rounds
        });
        let rounds = rounds.await.expect("counting does not panic");
        Ok(Outcome::Cancel(format!("stopped after {rounds} rounds")))
    }
}

pub async fn cancel(pool: &PgPool, id: JobId) -> Cancelled {
    cancel_request::cancel(pool, id, "ann", Some("no longer wanted")).await.expect("asked")
}

/// A running job whose attempt ends in a transaction that is held open while somebody asks to cancel it.
async fn cancelled_while_its_end_commits(db: &Database, hand: &mut Hand, id: JobId, succeeds: bool) {
    let job = hand.take(1).await.remove(0);
    assert_eq!(job.job_id, id);
    let mut tx = hand.connection.begin().await.expect("a transaction");
    let end = ended(&job, if succeeds { done() } else { failed(Category::Network) });
    let late = if succeeds {
        engine::store::attempt::complete(&mut tx, hand.id, &[end], &[job.claim_id]).await
    } else {
        engine::store::attempt::settle(&mut tx, hand.id, &[end], &[1.0], &[job.claim_id]).await
    };
    assert!(late.expect("recorded").is_empty());
    assert_eq!(cancel(db.pool(), id).await, Cancelled::Requested, "to everybody else it runs");
    tx.commit().await.expect("committed");
    assert_eq!(count(db.pool(), "select count(*) from engine.cancel_request").await, 1, "the end did not see the request");
}

async fn until_no_request_stands(pool: &PgPool) {
    wait::until("no request stands", Duration::from_secs(10), || async {
        count(pool, "select count(*) from engine.cancel_request").await == 0
    })
    .await;
}

#[tokio::test]
async fn a_cancel_asked_while_the_end_is_being_committed_leaves_no_request_behind() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let id = enqueue(db.pool(), 1).await[0];
    cancelled_while_its_end_commits(&db, &mut hand, id, true).await;
    let worker = Running::start(db.pool(), 1);
    until_no_request_stands(db.pool()).await;
    worker.stop().await;
    assert_eq!(state_of(db.pool(), id).await, "completed", "what was committed stays");
}

#[tokio::test]
async fn a_cancel_asked_while_a_failure_is_being_committed_ends_the_job_before_its_retry() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let id = enqueue(db.pool(), 1).await[0];
    cancelled_while_its_end_commits(&db, &mut hand, id, false).await;
    sqlx::query("update engine.scheduled set run_at = engine.now() + interval '7 days'").execute(db.pool()).await.expect("put off");
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "cancelled").await;
    until_no_request_stands(db.pool()).await;
    worker.stop().await;
    let words: String =
        sqlx::query_scalar("select error from engine.job_state where id = $1").bind(id).fetch_one(db.pool()).await.expect("its state");
    assert_eq!(words, "cancelled by ann: no longer wanted");
}

#[tokio::test]
async fn requests_of_running_jobs_and_of_jobs_that_are_gone_keep_nobody_else() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let ids = enqueue(db.pool(), 3).await;
    assert_eq!(hand.take(1).await[0].job_id, ids[0]);
    sqlx::query(
        "insert into engine.cancel_request (job_id, requested_by, requested_at) select id, 'ann', engine.now() - interval '1 minute' from unnest($1::bigint[]) id",
    )
    .bind([ids[0].0, ids[1].0, ids[2].0, 999_999_999])
    .execute(db.pool())
    .await
    .expect("asked");
    assert_eq!(cancel_request::settle(&mut hand.connection, 2).await.expect("settled"), 2, "the running one takes no place");
    assert_eq!(cancel_request::settle(&mut hand.connection, 2).await.expect("settled"), 1);
    assert_eq!(count(db.pool(), "select count(*) from engine.cancel_request").await, 1);
    assert_eq!(state_of(db.pool(), ids[0]).await, "running");
    assert_eq!(state_of(db.pool(), ids[2]).await, "cancelled");
}

#[tokio::test]
async fn a_job_that_was_not_wanted_any_more_when_its_worker_died_says_why() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let asked = enqueue(db.pool(), 1).await[0];
    let displaced = Client::new(db.pool().clone()).enqueue(&of(&NoOp { n: 1 }).unique_key("k")).await.expect("enqueued").id;
    let taken = hand.take(2).await;
    assert_eq!(cancel(db.pool(), asked).await, Cancelled::Requested);
    sqlx::query("delete from engine.unique_key").execute(db.pool()).await.expect("its key goes");
    hand.die().await;
    claim::rescue(&mut hand.connection, Orphan { worker_id: hand.id, id: taken[0].claim_id }).await.expect("rescued");
    let words = async |id: JobId| -> String {
        sqlx::query_scalar("select error from engine.job_state where id = $1").bind(id).fetch_one(db.pool()).await.expect("its state")
    };
    assert_eq!(words(asked).await, "cancelled by ann: no longer wanted");
    assert_eq!(words(displaced).await, "a newer job took its unique key over");
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn a_cancel_reaches_a_running_handler_within_two_seconds_and_it_may_tidy_up() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let kinds = Kinds::new().with::<Heedful>().with::<Blocking>();
    let heeds = client.enqueue(&of(&Heedful { deaf: false })).await.expect("enqueued").id;
    let deaf = client.enqueue(&of(&Heedful { deaf: true })).await.expect("enqueued").id;
    let blocks = client.enqueue(&of(&Blocking {})).await.expect("enqueued").id;
    // A lease that would be renewed every 15 s brings the request as soon.
    let worker = Running::with(db.pool(), kinds, WorkerConfig { lease: Duration::from_mins(1), ..WorkerConfig::default() });
    for id in [heeds, deaf, blocks] {
        until_state(db.pool(), id, "running").await;
    }
    let asked = Instant::now();
    for id in [heeds, deaf, blocks] {
        assert_eq!(cancel(db.pool(), id).await, Cancelled::Requested);
    }
    until_state(db.pool(), heeds, "completed").await;
    until_state(db.pool(), blocks, "cancelled").await;
    assert!(asked.elapsed() < Duration::from_secs(2), "reached after {:?}", asked.elapsed());
    until_state(db.pool(), deaf, "cancelled").await;
    worker.stop().await;
    let said: String =
        sqlx::query_scalar("select error from engine.job_state where id = $1").bind(blocks).fetch_one(db.pool()).await.expect("its state");
    assert!(said.starts_with("stopped after"), "{said}");
    assert_eq!(count(db.pool(), "select count(*) from engine.cancel_request").await, 0);
}

static BEGUN: Notify = Notify::const_new();

/// Takes it for a cancel when its first attempt is told to stop.
#[derive(Serialize, Deserialize)]
struct Mistaken {}

impl Job for Mistaken {
    const KIND: &'static str = "test.mistaken";

    async fn run(&self, run: &mut Run) -> JobResult {
        if run.attempt() > 1 {
            return Ok(Outcome::done());
        }
        BEGUN.notify_one();
        run.cancelled().await;
        Ok(Outcome::Cancel("told to stop".into()))
    }
}

fn of_short_grace() -> WorkerConfig {
    WorkerConfig { grace: Duration::from_secs(1), ..WorkerConfig::default() }
}

#[tokio::test]
async fn a_handler_that_takes_a_shutdown_for_a_cancel_loses_no_job() {
    let db = Database::new().await;
    let id = Client::new(db.pool().clone()).enqueue(&of(&Mistaken {})).await.expect("enqueued").id;
    let start = || Running::with(db.pool(), Kinds::new().with::<Mistaken>(), of_short_grace());
    let leaver = start();
    BEGUN.notified().await;
    leaver.stop().await;
    let successor = start();
    until_state(db.pool(), id, "completed").await;
    successor.stop().await;
    assert_eq!(outcomes(db.pool(), id).await, ["released", "completed"]);
}

async fn hear_why(run: &Run) -> JobResult {
    assert_eq!(run.stop_reason(), None, "it may go on");
    run.cancelled().await;
    Ok(Outcome::Done(json!(format!("{:?}", run.stop_reason()))))
}

/// Says why it was told to stop.
#[derive(Serialize, Deserialize)]
struct Curious {}

impl Job for Curious {
    const KIND: &'static str = "test.curious";

    async fn run(&self, run: &mut Run) -> JobResult {
        hear_why(run).await
    }
}

/// The same, of a kind that has little time.
#[derive(Serialize, Deserialize)]
struct Brief {}

impl Job for Brief {
    const KIND: &'static str = "test.brief";
    const TIMEOUT: Duration = Duration::from_millis(100);

    async fn run(&self, run: &mut Run) -> JobResult {
        hear_why(run).await
    }
}

#[tokio::test]
async fn a_handler_that_is_told_to_stop_hears_why() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let jobs = [of(&Curious {}), of(&Brief {}), of(&Curious {})];
    let ids: Vec<JobId> = client.enqueue_many(&jobs).await.expect("enqueued").into_iter().flatten().collect();
    let worker = Running::with(db.pool(), Kinds::new().with::<Curious>().with::<Brief>(), of_short_grace());
    until_state(db.pool(), ids[0], "running").await;
    assert_eq!(cancel(db.pool(), ids[0]).await, Cancelled::Requested);
    until_state(db.pool(), ids[0], "completed").await;
    until_state(db.pool(), ids[1], "completed").await;
    until_state(db.pool(), ids[2], "running").await;
    worker.stop().await;
    for (id, why) in ids.into_iter().zip(["Some(Cancelled)", "Some(TimedOut)", "Some(Released)"]) {
        assert_eq!(client.ending(id).await.expect("it is known"), Some(Ending::Completed(json!(why))));
    }
}
