//! Runs: jobs of one limit key follow each other on one slot, in their order, and none keeps the others for long.

use std::{sync::Mutex, time::Duration};

use engine::{
    Client, Job, JobId, JobResult, Kinds, NewJob, Outcome, Run, Worker, WorkerConfig,
    store::{
        attempt::{Ended, Verdict},
        claim::{self, Claimed, Orphan},
        doctor::{self, Severity},
    },
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::hand::{Hand, count, done, ended};
use super::jobs::{of, state_of};
use super::limits::{enqueue, limit};
use crate::support::{Database, ledger, wait};

/// The ids of a head and of what follows it.
fn ids(head: &Claimed) -> Vec<JobId> {
    head.run().map(|job| job.job_id).collect()
}

/// Fails where the doctor finds a fault: among what stands and runs now, every job of a key has its slot.
async fn sound(pool: &PgPool) {
    let faults = doctor::examine(pool).await.expect("the doctor can look").into_iter();
    let faults: Vec<_> = faults.filter(|finding| finding.severity == Severity::Fault).map(|finding| finding.detail).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

/// A worker that holds the first three of five jobs of a key with a cap of one, as a run.
async fn run_of_three(db: &Database) -> (Hand, Claimed, Vec<JobId>) {
    limit(db.pool(), "one", 1, false).await;
    let jobs = enqueue(db.pool(), "one", 5).await;
    let mut hand = Hand::new(db.pool()).await;
    hand.admit("one").await;
    let head = hand.take_runs(10, 3).await.pop().expect("one may run");
    assert_eq!(ids(&head), jobs[..3]);
    assert_eq!(hand.take_runs(10, 3).await.len(), 0, "one slot, and it is taken");
    sound(db.pool()).await;
    (hand, head, jobs)
}

#[tokio::test]
async fn a_run_has_one_slot_until_the_last_of_it_ends() {
    let db = Database::new().await;
    let (mut hand, head, jobs) = run_of_three(&db).await;
    hand.complete(&[ended(&head, done()), ended(&head.followers[0], done())]).await;
    assert_eq!(hand.take_runs(10, 3).await.len(), 0, "the last still runs");
    hand.complete(&[ended(&head.followers[1], done())]).await;
    let next = hand.take_runs(10, 3).await.pop().expect("the next may run");
    assert_eq!(ids(&next), jobs[3..]);
    sound(db.pool()).await;
}

#[tokio::test]
async fn what_is_given_back_may_come_to_the_slot_of_another() {
    for dies in [true, false] {
        let db = Database::new().await;
        limit(db.pool(), "two", 2, false).await;
        let jobs = enqueue(db.pool(), "two", 3).await;
        let mut hand = Hand::new(db.pool()).await;
        hand.admit("two").await;
        let first = hand.take(1).await;
        hand.complete(&[ended(&first[0], done())]).await;
        assert_eq!(count(db.pool(), "select job_id - (select min(id) from engine.job) from engine.slot where n = 1").await, 2);
        limit(db.pool(), "one", 1, false).await;
        enqueue(db.pool(), "one", 3).await;
        hand.admit("one").await;
        let held = hand.take_runs(10, 3).await;
        assert_eq!(held.len(), 3, "two by themselves, and a run");
        if dies {
            hand.be_rescued().await;
        } else {
            let given_back = |job| Ended { in_run: true, ..ended(job, Verdict::Released) };
            let ends: Vec<Ended> = held.iter().flat_map(Claimed::run).map(given_back).collect();
            hand.settle(&ends).await;
        }
        sound(db.pool()).await;
        let mut again: Vec<JobId> = Hand::new(db.pool()).await.take(10).await.iter().map(|job| job.job_id).collect();
        again.sort_unstable();
        assert_eq!(again[..2], jobs[1..]);
        assert_eq!(again.len(), 3, "and the first of the run");
    }
}

#[tokio::test]
async fn nothing_follows_those_that_a_lowered_cap_finds_above_it() {
    let db = Database::new().await;
    limit(db.pool(), "one", 4, false).await;
    let jobs = enqueue(db.pool(), "one", 12).await;
    let mut hand = Hand::new(db.pool()).await;
    hand.admit("one").await;
    sqlx::query("update engine.limit_setting set cap = 1, changed_at = engine.now()").execute(db.pool()).await.expect("lowered");
    let heads = hand.take_runs(10, 3).await;
    assert_eq!(
        heads.iter().map(|head| (head.job_id, head.followers.len())).collect::<Vec<_>>(),
        jobs[..4].iter().map(|id| (*id, 0)).collect::<Vec<_>>()
    );
    hand.complete(&heads.iter().map(|head| ended(head, done())).collect::<Vec<_>>()).await;
    let next = hand.take_runs(10, 3).await;
    assert_eq!(next.iter().map(|head| (head.job_id, head.followers.len())).collect::<Vec<_>>(), [(jobs[4], 2)], "one run at a time");
    sound(db.pool()).await;
}

#[tokio::test]
async fn what_a_worker_gives_back_of_a_run_and_what_it_loses_runs_again_in_its_order() {
    for dies in [false, true] {
        let db = Database::new().await;
        let (mut hand, head, jobs) = run_of_three(&db).await;
        hand.complete(&[ended(&head, done())]).await;
        if dies {
            hand.die().await;
            claim::rescue(&mut hand.connection, Orphan { worker_id: hand.id, id: head.claim_id }).await.expect("rescued");
            hand = Hand::new(db.pool()).await;
        } else {
            for job in &head.followers {
                hand.settle(&[ended(job, Verdict::Released)]).await;
            }
        }
        let mut ran = Vec::new();
        while let Some(head) = hand.take_runs(1, 3).await.pop() {
            sound(db.pool()).await;
            ran.extend(ids(&head));
            let ends: Vec<_> = head.run().map(|job| ended(job, done())).collect();
            hand.complete(&ends).await;
        }
        assert_eq!(ran, jobs[1..], "died: {dies}");
        assert_eq!(count(db.pool(), "select count(*) from engine.slot").await, 0);
    }
}

#[tokio::test]
async fn none_of_a_run_goes_on_elsewhere_while_a_handler_of_it_has_its_transaction_open() {
    let db = Database::new().await;
    let (mut hand, head, _) = run_of_three(&db).await;
    let mut handler = db.pool().begin().await.expect("a transaction");
    assert!(claim::assert_held(&mut handler, hand.id, head.claim_id, head.job_id, head.attempt, None).await.expect("asked"));
    hand.die().await;
    let orphan = Orphan { worker_id: hand.id, id: head.claim_id };
    assert_eq!(claim::rescue(&mut hand.connection, orphan).await.expect("tried"), 0);
    let mut other = Hand::new(db.pool()).await;
    assert_eq!(other.take_runs(10, 3).await.len(), 0, "their slot is not free");
    handler.rollback().await.expect("ended");
    assert_eq!(claim::rescue(&mut hand.connection, orphan).await.expect("rescued"), 3);
    assert_eq!(other.take_runs(10, 3).await.len(), 1);
}

#[tokio::test]
async fn a_job_that_takes_its_time_has_the_slot_of_the_last_unless_it_ends_at_that_moment() {
    let db = Database::new().await;
    let (mut hand, head, jobs) = run_of_three(&db).await;
    let last = &head.followers[1];
    let mut handler = db.pool().begin().await.expect("a transaction");
    assert!(claim::assert_held(&mut handler, hand.id, head.claim_id, head.job_id, head.attempt, None).await.expect("asked"));
    assert!(!claim::reseat(&mut hand.connection, hand.id, &head, last).await.expect("asked"), "it may be about to end");
    handler.rollback().await.expect("ended");
    assert!(claim::reseat(&mut hand.connection, hand.id, &head, last).await.expect("asked"));
    for job in &head.followers {
        hand.settle(&[ended(job, Verdict::Released)]).await;
    }
    assert_eq!(hand.take_runs(10, 3).await.len(), 0, "it still runs");
    sound(db.pool()).await;
    hand.complete(&[Ended { limited: true, ..ended(&head, done()) }]).await;
    let next = hand.take_runs(1, 1).await.pop().expect("the next may run");
    assert_eq!(next.job_id, jobs[1]);
    assert!(!claim::reseat(&mut hand.connection, hand.id, &head, last).await.expect("asked"), "both have ended");
}

#[tokio::test]
async fn a_strict_order_a_rate_and_a_job_that_ran_before_make_no_run() {
    let db = Database::new().await;
    limit(db.pool(), "strict", 1, true).await;
    limit(db.pool(), "paced", 5, false).await;
    sqlx::query("update engine.limit_setting set rate = 1000, per_ms = 1000, burst = 1 where name = 'paced'")
        .execute(db.pool())
        .await
        .expect("a rate");
    limit(db.pool(), "again", 1, false).await;
    let mut hand = Hand::new(db.pool()).await;
    for key in ["strict", "paced", "again"] {
        enqueue(db.pool(), key, 3).await;
        hand.admit(key).await;
    }
    let taken = hand.take_runs(10, 1).await;
    let released: Vec<_> = taken.iter().map(|job| ended(job, Verdict::Released)).collect();
    hand.settle(&released).await;
    let again = hand.take_runs(10, 8).await;
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|job| job.followers.is_empty()), "{again:?}");
}

/// Sleeps, and writes down when it began.
#[derive(Serialize, Deserialize)]
struct Noted {
    n: usize,
    ms: u64,
}

static BEGUN: Mutex<Vec<usize>> = Mutex::new(Vec::new());

impl Job for Noted {
    const KIND: &'static str = "test.noted";

    async fn run(&self, _: &mut Run) -> JobResult {
        BEGUN.lock().expect("no holder panics").push(self.n);
        tokio::time::sleep(Duration::from_millis(self.ms)).await;
        Ok(Outcome::done())
    }
}

/// Quick jobs first, so that runs are long; then one that takes its time. A second slot is free for the others meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_its_time_keeps_those_behind_it_for_a_moment_only() {
    let db = Database::new().await;
    limit(db.pool(), "two", 2, false).await;
    let last = 3000;
    let jobs: Vec<NewJob> = (0..=last).map(|n| of(&Noted { n, ms: if n == 2500 { 20_000 } else { 0 } }).limit_key("two")).collect();
    let ids: Vec<JobId> = Client::new(db.pool().clone()).enqueue_many(&jobs).await.expect("enqueued").into_iter().flatten().collect();
    let stop = CancellationToken::new();
    let config = WorkerConfig { grace: Duration::from_millis(100), run_time: Duration::from_secs(1), ..WorkerConfig::default() };
    let worker = tokio::spawn(Worker::new(db.pool().clone(), Kinds::new().with::<Noted>(), config).run(stop.clone()));
    wait::until("all but the slow one to end", Duration::from_secs(30), async || {
        count(db.pool(), "select count(*) from engine.attempt where outcome = 'completed'").await >= last as i64
    })
    .await;
    assert_eq!(count(db.pool(), "select count(*) from engine.claim where in_runs").await, 1, "it was in a run");
    assert_eq!(state_of(db.pool(), ids[2500]).await, "running");
    let begun = BEGUN.lock().expect("no holder panics").clone();
    let first = &begun[..1000];
    assert!(first.iter().all(|n| *n < 1100), "about in their order: {first:?}");
    stop.cancel();
    worker.await.expect("no panic").expect("in good order");
    ledger::check(db.pool()).await;
}
