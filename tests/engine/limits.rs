//! Limits of keys: never more than so many at once, whatever happens to a job, and nobody waits for nothing.

use std::time::Duration;

use engine::{
    Category, Client, Job, JobId, JobResult, Kinds, Limit, NewJob, Outcome, Run, Worker, WorkerConfig,
    store::{
        attempt::Verdict,
        cancel_request::{self, Cancelled},
        claim::{self, Claimed, Orphan},
        waiting,
    },
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::hand::{Hand, count, done, due_now, ended, failed, promote};
use super::jobs::{Running, of, state_of, until_state};
use crate::support::{
    Database,
    kinds::{NoOp, Sleep},
    ledger, wait,
};

/// Sets the limit of a key as an operator would.
pub async fn limit(pool: &PgPool, name: &str, cap: i32, in_order: bool) {
    sqlx::query(
        "insert into engine.limit_setting (scope, name, cap, in_order, changed_by) values ('key', $1, $2, $3, 'a test')
         on conflict (scope, name) do update set cap = excluded.cap, in_order = excluded.in_order",
    )
    .bind(name)
    .bind(cap)
    .bind(in_order)
    .execute(pool)
    .await
    .expect("the limit is sound");
}

pub async fn enqueue(pool: &PgPool, key: &str, jobs: i64) -> Vec<JobId> {
    let jobs: Vec<NewJob> = (0..jobs).map(|n| of(&NoOp { n }).limit_key(key)).collect();
    Client::new(pool.clone()).enqueue_many(&jobs).await.expect("enqueued").into_iter().flatten().collect()
}

impl Hand {
    pub async fn admit(&mut self, key: &str) -> i64 {
        waiting::admit(&mut self.connection, &[key.to_string()]).await.expect("admitted").expect("nobody else admits")
    }
}

fn ids(jobs: &[Claimed]) -> Vec<JobId> {
    jobs.iter().map(|job| job.job_id).collect()
}

#[tokio::test]
async fn a_key_has_as_many_jobs_at_once_as_its_cap_and_the_next_enters_when_one_ends() {
    let db = Database::new().await;
    limit(db.pool(), "shop:*", 2, false).await;
    let mut hand = Hand::new(db.pool()).await;
    let jobs = enqueue(db.pool(), "shop:1", 5).await;
    assert_eq!(hand.take(10).await.len(), 0, "nobody is in before an admission");
    assert_eq!(state_of(db.pool(), jobs[0]).await, "waiting");
    assert_eq!(hand.admit("shop:1").await, 2);
    assert_eq!(hand.admit("shop:1").await, 0);
    let taken = hand.take(10).await;
    assert_eq!(ids(&taken), jobs[..2]);
    hand.complete(&[ended(&taken[1], done())]).await;
    let next = hand.take(10).await;
    assert_eq!(ids(&next), jobs[2..3], "in the order in which they came");
    hand.complete(&[ended(&taken[0], done()), ended(&next[0], done())]).await;
    let last = hand.take(10).await;
    assert_eq!(ids(&last), jobs[3..]);
    hand.complete(&[ended(&last[0], done()), ended(&last[1], done())]).await;
    assert_eq!(count(db.pool(), "select count(*) from engine.slot").await, 0, "all slots are free");
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn the_longest_name_limits_a_key_and_a_key_without_a_limit_has_a_hundred_at_once() {
    let db = Database::new().await;
    for (name, cap) in [("shop:*", 3), ("shop:1*", 4), ("shop:12", 5), ("*", 6)] {
        limit(db.pool(), name, cap, false).await;
    }
    for (key, cap) in [("shop:2", 3), ("shop:13", 4), ("shop:12", 5), ("shop:123", 4), ("host", 6), ("shop:*", 3)] {
        let found: i32 =
            sqlx::query_scalar("select cap from engine.limit_of_key($1)").bind(key).fetch_one(db.pool()).await.expect("one row");
        assert_eq!(found, cap, "{key}");
    }
    sqlx::query("delete from engine.limit_setting").execute(db.pool()).await.expect("deleted");
    assert_eq!(count(db.pool(), "select cap::bigint from engine.limit_of_key('shop:12')").await, 100);
}

/// What becomes of the slot of the first of two jobs of a key with a cap of one: kept, or the second job's.
async fn slot_after(in_order: bool, verdict: Verdict) -> (String, bool) {
    let db = Database::new().await;
    limit(db.pool(), "one", 1, in_order).await;
    let mut hand = Hand::new(db.pool()).await;
    let jobs = enqueue(db.pool(), "one", 2).await;
    hand.admit("one").await;
    let taken = hand.take(10).await;
    hand.settle(&[ended(&taken[0], verdict)]).await;
    let holder: JobId = sqlx::query_scalar("select job_id from engine.slot").fetch_one(db.pool()).await.expect("one slot");
    let state = state_of(db.pool(), jobs[0]).await;
    let second = state_of(db.pool(), jobs[1]).await;
    assert_eq!(second == "ready", holder == jobs[1], "a slot and a place in ready go together");
    (state, holder == jobs[0])
}

#[tokio::test]
async fn a_retry_gives_its_slot_to_the_next_unless_the_order_matters() {
    assert_eq!(slot_after(false, failed(Category::Network)).await, ("scheduled".into(), false));
    assert_eq!(slot_after(true, failed(Category::Network)).await, ("scheduled".into(), true));
    assert_eq!(slot_after(false, Verdict::Snoozed(60_000)).await, ("scheduled".into(), false));
    assert_eq!(slot_after(true, Verdict::Snoozed(60_000)).await, ("scheduled".into(), true));
    assert_eq!(slot_after(true, failed(Category::Validation)).await, ("dead".into(), false));
    assert_eq!(slot_after(true, Verdict::Cancelled("no need".into())).await, ("cancelled".into(), false));
    assert_eq!(slot_after(false, Verdict::Released).await, ("ready".into(), true));
}

#[tokio::test]
async fn a_retry_waits_for_a_slot_again_and_one_that_kept_it_runs_at_once() {
    for in_order in [false, true] {
        let db = Database::new().await;
        limit(db.pool(), "one", 1, in_order).await;
        let mut hand = Hand::new(db.pool()).await;
        let jobs = enqueue(db.pool(), "one", 2).await;
        hand.admit("one").await;
        let taken = hand.take(10).await;
        hand.settle(&[ended(&taken[0], failed(Category::Network))]).await;
        due_now(db.pool()).await;
        promote(&mut hand.connection).await;
        let expected = if in_order { ("ready", "waiting") } else { ("waiting", "ready") };
        assert_eq!((&*state_of(db.pool(), jobs[0]).await, &*state_of(db.pool(), jobs[1]).await), expected, "in order: {in_order}");
        for first in if in_order { [jobs[0], jobs[1]] } else { [jobs[1], jobs[0]] } {
            let next = hand.take(10).await;
            assert_eq!(ids(&next), [first]);
            hand.complete(&[ended(&next[0], done())]).await;
        }
        ledger::check(db.pool()).await;
    }
}

#[tokio::test]
async fn a_scheduled_job_waits_for_a_slot_when_it_is_due_whoever_put_it_there() {
    let db = Database::new().await;
    limit(db.pool(), "one", 1, false).await;
    let mut hand = Hand::new(db.pool()).await;
    let later = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    let client = Client::new(db.pool().clone());
    let alone = client.enqueue(&of(&NoOp { n: 1 }).limit_key("one").run_at(later)).await.expect("enqueued").id;
    let many = client
        .enqueue_many(&[of(&NoOp { n: 2 }).limit_key("one").run_at(later), of(&NoOp { n: 3 }).run_at(later)])
        .await
        .expect("enqueued");
    sqlx::query("update engine.scheduled set keyed = null").execute(db.pool()).await.expect("as an older program would");
    due_now(db.pool()).await;
    promote(&mut hand.connection).await;
    assert_eq!(state_of(db.pool(), alone).await, "waiting");
    assert_eq!(state_of(db.pool(), many[0].expect("made")).await, "waiting");
    assert_eq!(state_of(db.pool(), many[1].expect("made")).await, "ready", "it has no key");
}

#[tokio::test]
async fn a_job_that_waits_can_be_cancelled_and_one_that_holds_a_slot_frees_it() {
    let db = Database::new().await;
    limit(db.pool(), "one", 1, true).await;
    let mut hand = Hand::new(db.pool()).await;
    let jobs = enqueue(db.pool(), "one", 4).await;
    hand.admit("one").await;
    let cancel = |id| cancel_request::cancel(db.pool(), id, "a test", None);
    assert_eq!(cancel(jobs[1]).await.expect("cancelled"), Cancelled::Cancelled);
    assert_eq!(state_of(db.pool(), jobs[1]).await, "cancelled");
    assert_eq!(cancel(jobs[0]).await.expect("cancelled"), Cancelled::Cancelled, "it stood in ready");
    let next = hand.take(10).await;
    assert_eq!(ids(&next), [jobs[2]], "its slot went to the next that was not cancelled");
    hand.settle(&[ended(&next[0], Verdict::Snoozed(60_000))]).await;
    assert_eq!(state_of(db.pool(), jobs[3]).await, "waiting");
    assert_eq!(cancel(jobs[2]).await.expect("cancelled"), Cancelled::Cancelled, "it was scheduled, and kept its slot");
    assert_eq!(ids(&hand.take(10).await), [jobs[3]]);
}

#[tokio::test]
async fn a_lost_job_keeps_its_slot_until_it_has_run_again_or_died() {
    let db = Database::new().await;
    limit(db.pool(), "one", 1, false).await;
    let jobs = enqueue(db.pool(), "one", 2).await;
    let mut hand = Hand::new(db.pool()).await;
    hand.admit("one").await;
    for turn in 0..5 {
        let held = if turn < 2 { hand.take(10).await } else { hand.take_alone().await };
        assert_eq!(ids(&held), [jobs[0]], "turn {turn}");
        hand.die().await;
        claim::rescue(&mut hand.connection, Orphan { worker_id: hand.id, id: held[0].claim_id }).await.expect("rescued");
        due_now(db.pool()).await;
        hand = Hand::new(db.pool()).await;
    }
    assert_eq!(state_of(db.pool(), jobs[0]).await, "dead");
    assert_eq!(ids(&hand.take(10).await), [jobs[1]], "the next has its slot now");
}

impl Hand {
    pub async fn take_alone(&mut self) -> Vec<Claimed> {
        claim::take_alone(&mut self.connection, self.id, &self.kinds, &self.queues).await.expect("claimed").into_iter().collect()
    }
}

#[tokio::test]
async fn a_cap_can_be_raised_and_lowered_while_jobs_run() {
    let db = Database::new().await;
    limit(db.pool(), "one", 1, false).await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), "one", 8).await;
    hand.admit("one").await;
    limit(db.pool(), "one", 4, false).await;
    assert_eq!(hand.admit("one").await, 3, "raised");
    let mut running = hand.take(10).await;
    assert_eq!(running.len(), 4);
    limit(db.pool(), "one", 2, false).await;
    assert_eq!(hand.admit("one").await, 0, "lowered: those above it run out");
    for left in [3, 2] {
        let job = running.pop().expect("one runs");
        hand.complete(&[ended(&job, done())]).await;
        assert_eq!(count(db.pool(), "select count(*) from engine.slot").await, left);
    }
    let job = running.pop().expect("one runs");
    hand.complete(&[ended(&job, done())]).await;
    assert_eq!(hand.take(10).await.len(), 1, "two at once from then on");
}

/// A kind whose keys are limited by its program.
#[derive(Serialize, Deserialize)]
struct Limited {}

impl Job for Limited {
    const KIND: &'static str = "test.limited";
    const LIMITS: &'static [Limit] = &[Limit::of_key("declared:*").at_once(3).in_order()];

    async fn run(&self, _: &mut Run) -> JobResult {
        Ok(Outcome::done())
    }
}

#[tokio::test]
async fn what_a_program_declares_limits_until_an_operator_says_otherwise() {
    let db = Database::new().await;
    let run_once = async || {
        let stop = CancellationToken::new();
        let worker = Worker::new(db.pool().clone(), Kinds::new().with::<Limited>(), WorkerConfig::default()).run(stop.clone());
        let running = tokio::spawn(worker);
        let id = Client::new(db.pool().clone()).enqueue(&of(&Limited {}).limit_key("declared:1")).await.expect("enqueued").id;
        until_state(db.pool(), id, "completed").await;
        stop.cancel();
        running.await.expect("no panic").expect("in good order");
    };
    run_once().await;
    let declared = async || -> (i32, bool) {
        sqlx::query_as("select cap, in_order from engine.limit_of_key('declared:9')").fetch_one(db.pool()).await.expect("one row")
    };
    assert_eq!(declared().await, (3, true));
    sqlx::query("update engine.limit_setting set cap = 7, changed_by = 'ann' where name = 'declared:*'")
        .execute(db.pool())
        .await
        .expect("set");
    run_once().await;
    assert_eq!(declared().await, (7, true), "a worker that starts takes nothing back");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_key_with_a_cap_of_one_run_one_after_the_other_in_their_order() {
    let db = Database::new().await;
    limit(db.pool(), "shop:*", 1, true).await;
    let workers = [Running::start(db.pool(), 8), Running::start(db.pool(), 8)];
    let mut jobs = Vec::new();
    for _ in 0..10 {
        let batch: Vec<NewJob> = (0..5).map(|shop| of(&Sleep { ms: 5 }).limit_key(format!("shop:{shop}"))).collect();
        jobs.extend(Client::new(db.pool().clone()).enqueue_many(&batch).await.expect("enqueued"));
    }
    ledger::all_ended(db.pool(), Duration::from_secs(30)).await;
    for worker in workers {
        worker.stop().await;
    }
    let wrong: i64 = count(
        db.pool(),
        "select count(*) from (
             select a.started_at, lag(a.finished_at) over w as before, a.job_id, lag(a.job_id) over w as last_id
             from engine.attempt a join engine.job j on j.id = a.job_id window w as (partition by j.limit_key order by a.started_at)
         ) x where last_id > job_id or started_at < before",
    )
    .await;
    assert_eq!(wrong, 0, "two of a key overlapped, or one overtook another");
    ledger::check(db.pool()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_picks_a_limited_job_up_at_once() {
    let db = Database::new().await;
    let worker = Running::start(db.pool(), 4);
    let client = Client::new(db.pool().clone());
    let mut times = Vec::new();
    for n in 0..20 {
        let id = client.enqueue(&of(&NoOp { n }).limit_key(format!("key {n}"))).await.expect("enqueued").id;
        let look = || async { state_of(db.pool(), id).await == "completed" };
        times.push(wait::until_every(Duration::from_millis(1), "it runs", Duration::from_secs(10), look).await);
    }
    worker.stop().await;
    times.sort_unstable();
    assert!(times[10] < Duration::from_millis(200), "the middle of {times:?}");
}
