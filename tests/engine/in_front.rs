//! What was claimed and given back goes on in front of its lane: it does not wait for the backlog a second time.

use std::time::Duration;

use engine::{
    Client, JobId, NewJob, metrics,
    store::{
        attempt::{Ended, Verdict},
        claim::{self, Claimed, WantedLimited},
    },
};

use super::hand::{Hand, count, due_now, ended, enqueue};
use super::jobs::{Running, of};
use super::limits;
use crate::support::{Database, kinds::Sleep, ledger, wait};

/// The jobs in the order in which they stood.
fn ids(jobs: &[Claimed]) -> Vec<JobId> {
    let mut ids: Vec<(i64, JobId)> = jobs.iter().map(|job| (job.position, job.job_id)).collect();
    ids.sort_unstable();
    ids.into_iter().map(|(_, id)| id).collect()
}

#[tokio::test]
async fn a_job_whose_worker_died_goes_before_the_backlog() {
    let db = Database::new().await;
    let jobs = enqueue(db.pool(), 20).await;
    let (mut one, mut two) = (Hand::new(db.pool()).await, Hand::new(db.pool()).await);
    assert_eq!(ids(&one.take(5).await), jobs[..5]);
    one.be_rescued().await;
    assert_eq!(ids(&two.take(5).await), jobs[..5]);
    assert_eq!(ids(&two.take(5).await), jobs[5..10]);
}

#[tokio::test]
async fn a_job_that_a_worker_gave_back_goes_before_the_backlog() {
    let db = Database::new().await;
    let jobs = enqueue(db.pool(), 20).await;
    let (mut one, mut two) = (Hand::new(db.pool()).await, Hand::new(db.pool()).await);
    let taken = one.take(5).await;
    let released: Vec<Ended> = taken.iter().map(|job| ended(job, Verdict::Released)).collect();
    one.settle(&released).await;
    assert_eq!(ids(&two.take(5).await), jobs[..5]);
}

#[tokio::test]
async fn what_is_given_back_for_ever_does_not_keep_the_others_waiting() {
    let db = Database::new().await;
    let jobs = enqueue(db.pool(), 2).await;
    let mut hand = Hand::new(db.pool()).await;
    let mut given_back = 0;
    loop {
        let job = hand.take(1).await.pop().expect("one is ready");
        if job.job_id == jobs[1] {
            break;
        }
        hand.settle(&[ended(&job, Verdict::Released)]).await;
        given_back += 1;
    }
    assert_eq!(given_back, 10);
}

#[tokio::test]
async fn a_suspect_that_was_given_back_is_one_still() {
    let db = Database::new().await;
    let job = limits::enqueue(db.pool(), "one", 1).await[0];
    let mut hand = Hand::new(db.pool()).await;
    hand.admit("one").await;
    for _ in 0..2 {
        let mut dying = Hand::new(db.pool()).await;
        assert_eq!(ids(&dying.take(5).await), [job]);
        dying.be_rescued().await;
    }
    for _ in 0..2 {
        due_now(db.pool()).await;
        assert!(hand.take(5).await.is_empty(), "it runs with no other");
        let suspect = claim::take_alone(&mut hand.connection, hand.id, &hand.kinds, &hand.queues).await.expect("claimed").expect("due");
        assert_eq!(count(db.pool(), "select count(*) from engine.slot").await, 1, "it keeps its slot");
        hand.settle(&[ended(&suspect, Verdict::Released)]).await;
        assert_eq!(count(db.pool(), "select count(*) from engine.scheduled where alone and run_at <= engine.now()").await, 1);
    }
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn where_a_kind_is_limited_what_was_lost_goes_first_too() {
    let db = Database::new().await;
    sqlx::query("insert into engine.limit_setting (scope, name, cap, changed_by) values ('kind', 'test.no_op', 3, 'a test')")
        .execute(db.pool())
        .await
        .expect("the limit is sound");
    let jobs = enqueue(db.pool(), 20).await;
    let lane: i32 = sqlx::query_scalar("select lane_id from engine.ready limit 1").fetch_one(db.pool()).await.expect("a lane");
    let (mut one, mut two) = (Hand::new(db.pool()).await, Hand::new(db.pool()).await);
    let take = async |hand: &mut Hand, floor: i64| {
        let wanted = WantedLimited { worker_id: hand.id, limit: 10, lanes: vec![(lane, floor, 10)], in_front: true };
        claim::take_limited(&mut hand.connection, &wanted).await.expect("claimed").jobs
    };
    assert_eq!(ids(&take(&mut one, 0).await), jobs[..3]);
    one.be_rescued().await;
    assert_eq!(ids(&take(&mut two, jobs[2].0).await), jobs[..3], "whatever the floor");
}

#[tokio::test]
async fn the_head_of_a_run_goes_first_too() {
    for dies in [true, false] {
        let db = Database::new().await;
        limits::limit(db.pool(), "one", 1, false).await;
        let keyed = limits::enqueue(db.pool(), "one", 3).await;
        let (mut one, mut two) = (Hand::new(db.pool()).await, Hand::new(db.pool()).await);
        one.admit("one").await;
        let head = one.take_runs(1, 3).await.pop().expect("it has the slot");
        assert_eq!(head.run().map(|job| job.job_id).collect::<Vec<_>>(), keyed);
        enqueue(db.pool(), 20).await;
        if dies {
            one.be_rescued().await;
        } else {
            let given_back = |job| Ended { in_run: true, ..ended(job, Verdict::Released) };
            one.settle(&head.run().map(given_back).collect::<Vec<_>>()).await;
        }
        assert_eq!(ids(&two.take(1).await), keyed[..1]);
    }
}

#[tokio::test]
async fn a_busy_worker_finds_what_was_lost_and_it_is_counted() {
    let db = Database::new().await;
    let jobs: Vec<NewJob> = (0..2000).map(|_| of(&Sleep { ms: 10 })).collect();
    Client::new(db.pool().clone()).enqueue_many(&jobs).await.expect("enqueued");
    let mut hand = Hand::new(db.pool()).await;
    let lost = hand.take(4).await;
    let worker = Running::start(db.pool(), 2);
    let ended = async || count(db.pool(), "select count(*) from engine.attempt where outcome = 'completed'").await;
    wait::until("the worker is in the backlog", Duration::from_secs(20), async || ended().await > 50).await;
    hand.die().await;
    let lost: Vec<i64> = lost.iter().map(|job| job.job_id.0).collect();
    wait::until("what was lost has ended", Duration::from_secs(20), async || {
        let sql = "select count(*) = 4 from engine.attempt where outcome = 'completed' and job_id = any ($1)";
        sqlx::query_scalar(sql).bind(&lost).fetch_one(db.pool()).await.expect("looked")
    })
    .await;
    assert!(count(db.pool(), "select count(*) from engine.ready").await > 0, "the backlog is still there");
    worker.stop().await;
    let mut connection = db.pool().acquire().await.expect("a connection");
    for _ in 0..2 {
        metrics::measure(&mut connection, Duration::ZERO).await.expect("measured");
    }
    let (in_front, depth) = (
        count(db.pool(), "select count(*) from engine.ready where position < 0").await,
        count(db.pool(), "select coalesce(sum(depth), 0)::bigint from engine.queue_figures").await,
    );
    assert!(in_front > 0, "the worker gave back what it had not begun");
    assert_eq!(depth, count(db.pool(), "select count(*) from engine.ready").await);
}
