//! Limits of queues and kinds over the fleet, and rates: exact, whoever claims and whoever dies.

use std::time::Duration;

use engine::{
    Client, Job, JobId, JobResult, Kinds, Limit, NewJob, Outcome, Rate, Run, Worker, WorkerConfig,
    store::{
        attempt::Verdict,
        claim::{self, Claimed, Orphan, TakenLimited, WantedLimited},
        limit::{self, Change},
        pause::{self, Scope, Window},
    },
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use super::hand::{Hand, count, done, due_now, ended};
use super::jobs::{Running, of, until_state};
use super::limits::enqueue;
use crate::support::{
    Database, clock,
    kinds::{NoOp, Sleep},
    ledger, wait,
};

pub fn at_once(cap: i32) -> Change {
    Change { cap: Some(Some(cap)), ..Change::default() }
}

pub fn rate(jobs: u32, seconds: u64, burst: u32) -> Change {
    Change { rate: Some(Some(Rate::new(jobs, Duration::from_secs(seconds)).burst(burst))), ..Change::default() }
}

pub async fn set(pool: &PgPool, scope: Scope, name: &str, change: Change) {
    limit::set(pool, scope, name, change, "a test").await.expect("the limit is sound");
}

async fn plain(pool: &PgPool, jobs: usize) -> Vec<JobId> {
    let jobs: Vec<NewJob> = (0..jobs).map(|n| of(&NoOp { n: n as i64 })).collect();
    Client::new(pool.clone()).enqueue_many(&jobs).await.expect("enqueued").into_iter().flatten().collect()
}

impl Hand {
    pub async fn take_limited(&mut self, most: i64) -> TakenLimited {
        let lanes: Vec<i32> = sqlx::query_scalar("select id from engine.lane where kind = any ($1) order by priority, id")
            .bind(&self.kinds)
            .fetch_all(&mut *self.connection)
            .await
            .expect("lanes");
        let lanes = lanes.into_iter().map(|lane| (lane, 0, most)).collect();
        let wanted = WantedLimited { worker_id: self.id, limit: most, lanes, in_front: true };
        claim::take_limited(&mut self.connection, &wanted).await.expect("claimed")
    }
}

/// Charges a run to the rate of its key: whether it has to wait.
pub async fn has_to_wait(connection: &mut PgConnection, job: JobId) -> bool {
    let charging = sqlx::query_scalar::<_, Option<i64>>(include_str!("../../engine/sql/limit/charge.sql")).bind(job);
    charging.fetch_one(connection).await.expect("charged").is_some_and(|ms| ms > 0)
}

#[tokio::test]
async fn of_two_first_runs_of_a_key_at_one_time_one_waits() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let jobs = enqueue(db.pool(), "shop", 2).await;
    assert_eq!((hand.admit("shop").await, hand.take(2).await.len()), (2, 2));
    set(db.pool(), Scope::Key, "shop", rate(1, 3600, 1)).await;
    let mut first = db.pool().begin().await.expect("a transaction");
    assert!(!has_to_wait(&mut first, jobs[0]).await);
    let mut second = db.pool().acquire().await.expect("a connection");
    let late = jobs[1];
    let charging = tokio::spawn(async move { has_to_wait(&mut second, late).await });
    wait::until("the second waits for the first", Duration::from_secs(10), || async {
        count(db.pool(), "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'").await == 1
    })
    .await;
    first.commit().await.expect("committed");
    assert!(charging.await.expect("no panic"), "the rate has one an hour");
}

fn ids(jobs: &[Claimed]) -> Vec<JobId> {
    jobs.iter().map(|job| job.job_id).collect()
}

#[tokio::test]
async fn a_kind_and_a_queue_run_as_many_at_once_as_their_limits_over_all_workers() {
    for (scope, name) in [(Scope::Kind, "test.no_op"), (Scope::Queue, "default")] {
        let db = Database::new().await;
        set(db.pool(), scope, name, at_once(3)).await;
        let jobs = plain(db.pool(), 6).await;
        let (mut one, mut two) = (Hand::new(db.pool()).await, Hand::new(db.pool()).await);
        assert!(one.take(10).await.is_empty(), "a claim of other lanes leaves them alone");
        let first = one.take_limited(2).await.jobs;
        assert_eq!(ids(&first), jobs[..2]);
        let second = two.take_limited(10).await.jobs;
        assert_eq!(ids(&second), jobs[2..3]);
        assert!(one.take_limited(10).await.jobs.is_empty());
        one.settle(&[ended(&first[0], Verdict::Released), ended(&first[1], Verdict::Snoozed(60_000))]).await;
        let next = two.take_limited(10).await.jobs;
        assert_eq!(ids(&next), [jobs[0], jobs[3]], "what was given back goes first");
        two.die().await;
        for claim in [second[0].claim_id, next[0].claim_id] {
            claim::rescue(&mut one.connection, Orphan { worker_id: two.id, id: claim }).await.expect("rescued");
        }
        assert_eq!(count(db.pool(), "select count(*) from engine.permit").await, 0, "what is lost runs no more");
        let rest = one.take_limited(10).await.jobs;
        assert_eq!(rest.len(), 3);
        one.complete(&rest.iter().map(|job| ended(job, done())).collect::<Vec<_>>()).await;
        set(db.pool(), scope, name, at_once(10)).await;
        let last = one.take_limited(10).await.jobs;
        one.complete(&last.iter().map(|job| ended(job, done())).collect::<Vec<_>>()).await;
        assert_eq!(count(db.pool(), "select count(*) from engine.permit").await, 0);
        ledger::check(db.pool()).await;
    }
}

#[tokio::test]
async fn a_limited_lane_that_was_held_since_the_worker_learnt_of_it_gives_nothing() {
    let (kind, queue) = ((Scope::Kind, "test.no_op"), (Scope::Queue, "default"));
    for (limited, (scope, name)) in [(kind, kind), (kind, queue), (queue, kind), (queue, queue)] {
        let db = Database::new().await;
        set(db.pool(), limited.0, limited.1, at_once(3)).await;
        let jobs = plain(db.pool(), 2).await;
        let mut hand = Hand::new(db.pool()).await;
        pause::begin(db.pool(), scope, name, Window::default(), "ann", None).await.expect("held");
        assert!(hand.take_limited(10).await.jobs.is_empty(), "{name}");
        pause::resume(db.pool(), scope, name, "ann").await.expect("resumed");
        assert_eq!(ids(&hand.take_limited(10).await.jobs), jobs);
    }
}

#[tokio::test]
async fn the_lower_of_two_limits_decides_and_a_suspect_needs_room_too() {
    let db = Database::new().await;
    set(db.pool(), Scope::Queue, "default", at_once(2)).await;
    set(db.pool(), Scope::Kind, "test.no_op", at_once(1)).await;
    let jobs = plain(db.pool(), 3).await;
    Client::new(db.pool().clone()).enqueue_many(&vec![of(&Sleep { ms: 1 }); 3]).await.expect("enqueued");
    let mut hand = Hand::new(db.pool()).await;
    assert_eq!(hand.take_limited(10).await.jobs.len(), 2, "one of each kind");
    sqlx::query("with taken as (delete from engine.ready where job_id = $1 returning *)
                 insert into engine.scheduled (run_at, job_id, lane_id, attempt, alone) select engine.now(), job_id, lane_id, attempt, true from taken")
        .bind(jobs[1])
        .execute(db.pool())
        .await
        .expect("a suspect");
    due_now(db.pool()).await;
    let alone = claim::take_alone(&mut hand.connection, hand.id, &hand.kinds, &hand.queues).await.expect("asked");
    assert!(alone.is_none(), "its queue and its kind are full");
    set(db.pool(), Scope::Queue, "default", at_once(5)).await;
    set(db.pool(), Scope::Kind, "test.no_op", at_once(2)).await;
    let alone = claim::take_alone(&mut hand.connection, hand.id, &hand.kinds, &hand.queues).await.expect("asked").expect("there is room");
    assert_eq!((alone.job_id, alone.permitted), (jobs[1], true));
    assert_eq!(hand.take_limited(10).await.jobs.len(), 2, "two more of the other kind, none of its own");
}

#[tokio::test]
async fn a_rate_lets_its_burst_go_and_then_one_a_step_and_a_crash_gives_nothing_back() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    // Ten in any minute, four of them together: the others follow one each 60/7 s.
    set(db.pool(), Scope::Kind, "test.no_op", rate(10, 60, 4)).await;
    plain(db.pool(), 30).await;
    let mut hand = Hand::new(db.pool()).await;
    let first = hand.take_limited(100).await;
    assert_eq!(first.jobs.len(), 4);
    let empty = hand.take_limited(100).await;
    let wait = empty.wait.expect("a rate says when");
    assert!(empty.jobs.is_empty() && wait > Duration::from_secs(7) && wait < Duration::from_secs(9), "{wait:?}");
    clock::step(db.pool(), wait.as_secs_f64() + 0.01).await;
    assert_eq!(hand.take_limited(100).await.jobs.len(), 1);
    hand.die().await;
    let mut hand = Hand::new(db.pool()).await;
    assert!(hand.take_limited(100).await.jobs.is_empty(), "the dead worker's jobs were let go");
    clock::step(db.pool(), 3600.0).await;
    assert_eq!(hand.take_limited(100).await.jobs.len(), 4, "no more than the burst, however long nothing ran");
    clock::step(db.pool(), -3600.0).await;
    let wait = hand.take_limited(100).await.wait.expect("a rate says when");
    assert!(wait < Duration::from_secs(9), "a clock set back holds nobody up for long: {wait:?}");
}

#[tokio::test]
async fn a_heavy_kind_takes_more_of_its_queues_rate() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    set(db.pool(), Scope::Queue, "default", rate(20, 60, 10)).await;
    set(db.pool(), Scope::Kind, "test.no_op", Change { weight: Some(4), ..Change::default() }).await;
    plain(db.pool(), 30).await;
    Client::new(db.pool().clone()).enqueue_many(&vec![of(&Sleep { ms: 1 }); 30]).await.expect("enqueued");
    let mut hand = Hand::new(db.pool()).await;
    let kinds: Vec<String> = hand.take_limited(100).await.jobs.into_iter().map(|job| job.kind).collect();
    let heavy = kinds.iter().filter(|kind| *kind == "test.no_op").count();
    assert_eq!(heavy * 4 + (kinds.len() - heavy), 10, "{kinds:?}");
}

/// Takes from a rate at random times as much as it gives, and returns the most in any window of its period.
const MOST: &str = "
    with recursive walk as (
        select 0 as n, timestamptz '2027-01-01' as at, null::timestamptz as free_at, 0 as taken
        union all
        select n + 1, s.at, engine.rate_after($1, $2, $3, w.free_at, s.at, s.taken), s.taken
        from walk w
        cross join lateral (
            select t.at, engine.rate_left($1, $2, $3, w.free_at, t.at) as taken
            from (select w.at + make_interval(secs => -ln(1 - random()) * $2 / 1000.0 / $1) as at) t
        ) s
        where n < 1500
    )
    select max(x.taken) from (
        select sum(taken) over (order by at range between current row and make_interval(secs => $2 / 1000.0 - 0.000002) following) as taken from walk
    ) x";

#[tokio::test]
async fn no_window_of_its_period_holds_more_than_the_rate() {
    let db = Database::new().await;
    for (jobs, per_ms, burst) in [(1, 1000_i64, 1), (7, 1000, 1), (10, 60_000, 4), (100, 1000, 6), (20, 1000, 20), (3, 500, 2)] {
        let most: i64 = sqlx::query_scalar(MOST).bind(jobs).bind(per_ms).bind(burst).fetch_one(db.pool()).await.expect("a walk");
        assert!(most <= i64::from(jobs), "{most} in a period of {per_ms} ms at a rate of {jobs}, burst {burst}");
        assert!(most >= i64::from(jobs) * 3 / 4, "{most} of {jobs}, burst {burst}: the rate is not used");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_keep_a_kinds_limit_and_rate_together() {
    let db = Database::new().await;
    let limits = Change { cap: Some(Some(2)), ..rate(20, 1, 2) };
    set(db.pool(), Scope::Kind, "test.sleep", limits).await;
    Client::new(db.pool().clone()).enqueue_many(&vec![of(&Sleep { ms: 20 }); 40]).await.expect("enqueued");
    let free = plain(db.pool(), 50).await;
    let workers = [Running::start(db.pool(), 8), Running::start(db.pool(), 8), Running::start(db.pool(), 8)];
    until_state(db.pool(), free[49], "completed").await;
    ledger::all_ended(db.pool(), Duration::from_mins(1)).await;
    for worker in workers {
        worker.stop().await;
    }
    let overlap: i64 = count(db.pool(), "
        select max(at_once) from (
            select sum(change) over (order by at, change rows unbounded preceding) as at_once from (
                select started_at as at, 1 as change from engine.attempt a join engine.job j on j.id = a.job_id join engine.lane l on l.id = j.lane_id where l.kind = 'test.sleep'
                union all select finished_at, -1 from engine.attempt a join engine.job j on j.id = a.job_id join engine.lane l on l.id = j.lane_id where l.kind = 'test.sleep'
            ) s) x").await;
    assert!(overlap <= 2, "{overlap} at once");
    // From the claim to the start some time passes, more for one job than for another.
    let most: i64 = count(db.pool(), "
        select max(n) from (
            select count(*) over (order by a.started_at range between current row and interval '700 milliseconds' following) as n
            from engine.attempt a join engine.job j on j.id = a.job_id join engine.lane l on l.id = j.lane_id where l.kind = 'test.sleep') x").await;
    assert!(most <= 20, "{most} began in 0.7 s at 20 a second");
    ledger::check(db.pool()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_keeps_its_rate_and_keeps_no_other_from_running() {
    let db = Database::new().await;
    set(db.pool(), Scope::Key, "slow:*", rate(5, 1, 1)).await;
    let slow = enqueue(db.pool(), "slow:1", 12).await;
    let quick = enqueue(db.pool(), "quick:1", 200).await;
    let workers = [Running::start(db.pool(), 8), Running::start(db.pool(), 8)];
    until_state(db.pool(), quick[199], "completed").await;
    let ended: i64 = count(db.pool(), "select count(*) from engine.attempt a join engine.job j on j.id = a.job_id where j.limit_key = 'slow:1' and a.outcome = 'completed'").await;
    assert!(ended < 12, "the others did not wait for them");
    until_state(db.pool(), slow[11], "completed").await;
    for worker in workers {
        worker.stop().await;
    }
    // When each began is known only as exactly as results are recorded; that the last was done after eleven steps is certain.
    let took: i64 = count(
        db.pool(),
        "select (extract(epoch from max(a.finished_at) - min(j.created_at)) * 1000)::bigint
         from engine.attempt a join engine.job j on j.id = a.job_id where j.limit_key = 'slow:1' and a.outcome = 'completed'",
    )
    .await;
    assert!(took >= 11 * 200, "twelve were done in {took} ms at five a second");
    ledger::check(db.pool()).await;
}

/// A kind that is limited by its program.
#[derive(Serialize, Deserialize)]
struct Declared {}

impl Job for Declared {
    const KIND: &'static str = "test.declared";
    const LIMITS: &'static [Limit] = &[
        Limit::of_kind("test.declared").at_once(4).rate(Rate::new(100, Duration::from_secs(1))).weight(2),
        Limit::of_queue("default").at_once(50),
    ];

    async fn run(&self, _: &mut Run) -> JobResult {
        Ok(Outcome::done())
    }
}

#[tokio::test]
async fn limits_of_kinds_and_queues_are_declared_and_set_and_taken_back() {
    let db = Database::new().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(Worker::new(db.pool().clone(), Kinds::new().with::<Declared>(), WorkerConfig::default()).run(stop.clone()));
    let id = Client::new(db.pool().clone()).enqueue(&of(&Declared {})).await.expect("enqueued").id;
    until_state(db.pool(), id, "completed").await;
    stop.cancel();
    running.await.expect("no panic").expect("in good order");
    let find = async || limit::list(db.pool()).await.expect("listed").into_iter().find(|limit| limit.scope == "kind").expect("it is there");
    let declared = find().await;
    assert_eq!(
        (declared.cap, declared.rate, declared.per_ms, declared.burst, declared.weight),
        (Some(4), Some(100), Some(1000), Some(6), 2)
    );
    set(db.pool(), Scope::Kind, "test.declared", at_once(9)).await;
    let changed = find().await;
    assert_eq!((changed.cap, changed.rate, changed.changed_by.as_str()), (Some(9), Some(100), "a test"));
    assert_eq!(limit::unset(db.pool(), Scope::Kind, "test.declared").await.expect("taken back"), Some(true));
    assert_eq!(find().await.cap, Some(4));
    assert_eq!(limit::unset(db.pool(), Scope::Kind, "test.nothing").await.expect("asked"), None);
    assert!(limit::set(db.pool(), Scope::Queue, "default", Change { weight: Some(3), ..Change::default() }, "a test").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_lane_and_the_others_take_turns() {
    let db = Database::new().await;
    set(db.pool(), Scope::Kind, "test.sleep", at_once(1000)).await;
    Client::new(db.pool().clone()).enqueue_many(&vec![of(&Sleep { ms: 5 }).priority(0); 2000]).await.expect("enqueued");
    let free = plain(db.pool(), 200).await;
    let worker = Running::start(db.pool(), 4);
    until_state(db.pool(), free[199], "completed").await;
    let left: i64 = count(db.pool(), "select count(*) from engine.ready").await;
    assert!(left > 0, "the backlog of the limited kind was not waited for");
    let limited = || async { count(db.pool(), "select count(*) from engine.permit").await > 0 };
    wait::until("the limited kind runs too", Duration::from_secs(20), limited).await;
    worker.stop().await;
}

#[tokio::test]
async fn why_names_the_limit_and_the_rate_that_keep_a_job() {
    let db = Database::new().await;
    set(db.pool(), Scope::Kind, "test.no_op", at_once(1)).await;
    set(db.pool(), Scope::Queue, "default", rate(1, 60, 1)).await;
    let jobs = plain(db.pool(), 2).await;
    let mut hand = Hand::new(db.pool()).await;
    sqlx::query("update engine.worker set info = '{\"kinds\": [\"test.no_op\"], \"queues\": [\"default\"]}'")
        .execute(db.pool())
        .await
        .expect("said");
    assert_eq!(hand.take_limited(5).await.jobs.len(), 1);
    let why = engine::store::why::why(db.pool(), jobs[1]).await.expect("the job is there");
    let words: Vec<String> = why.reasons.iter().map(ToString::to_string).collect();
    assert_eq!(words[0], "limit of kind test.no_op is at 1/1");
    assert!(words[1].starts_with("of queue default no more than 1 are let go in any 60 s; the next in "), "{words:?}");
    assert_eq!((words.len(), why.estimated_start), (2, None));
}
