//! Circuit breakers, statement by statement: what opens one, who may try, and what closes it.

use chrono::{DateTime, Utc};
use engine::{
    Category, Client, JobId, NewJob, StoreError,
    store::{
        attempt::Verdict,
        breaker::{self, Breaker, Change, Ends, Finding, Held, Probed, Rule},
        claim::{self, Claimed, Orphan},
        limit,
        pause::Scope,
        scheduled,
        why::why,
    },
};
use sqlx::PgPool;

use super::hand::{Hand, count, done, due_now, ended, failed, promote};
use super::jobs::{of, state_of};
use crate::support::{
    Database, clock,
    kinds::NoOp,
    ledger,
    outside_call::{Call, SYSTEM},
};

async fn known(pool: &PgPool) -> Hand {
    let mut hand = Hand::new(pool).await;
    breaker::declare(&mut hand.connection, &[("test.call", Some(SYSTEM)), ("test.no_op", None)]).await.expect("declared");
    hand
}

async fn calls(pool: &PgPool, jobs: usize) -> Vec<JobId> {
    let jobs: Vec<NewJob> = (0..jobs).map(|_| of(&Call { ms: 0 })).collect();
    Client::new(pool.clone()).enqueue_many(&jobs).await.expect("enqueued").into_iter().flatten().collect()
}

async fn breaker(pool: &PgPool) -> Breaker {
    breaker::list(pool).await.expect("listed").into_iter().find(|breaker| breaker.system == SYSTEM).expect("it is known")
}

fn ends(category: Option<&'static str>, ended: i64, wait_ms: Option<i64>) -> Ends {
    Ends { system: SYSTEM, category, ended, wait_ms, error: category.map(|category| format!("it failed: {category}")) }
}

async fn tell(hand: &mut Hand, ends: &[Ends]) -> Vec<Change> {
    breaker::report(&mut hand.connection, ends, &[], 1.0).await.expect("told").expect("nobody else decides")
}

async fn told(hand: &mut Hand, probe: &Claimed, finding: Finding) -> Vec<Change> {
    let probed = Probed { system: SYSTEM, job_id: probe.job_id, attempt: probe.attempt, finding };
    breaker::report(&mut hand.connection, &[], &[probed], 1.0).await.expect("told").expect("nobody else decides")
}

async fn open(hand: &mut Hand) {
    let changes = tell(hand, &[ends(Some("network"), 10, None)]).await;
    assert_eq!(changes.len(), 1, "it opens");
}

async fn probe(hand: &mut Hand) -> Vec<Claimed> {
    breaker::take_probes(&mut hand.connection, hand.id, &hand.kinds, &hand.queues).await.expect("asked")
}

/// How long from now on, in seconds, the next probe has to wait.
async fn cooldown(pool: &PgPool) -> f64 {
    sqlx::query_scalar("select extract(epoch from probe_at - engine.now())::float8 from engine.breaker")
        .fetch_one(pool)
        .await
        .expect("it is open")
}

fn about(seconds: f64, expected: f64) -> bool {
    (expected - 3.0..=expected).contains(&seconds)
}

#[tokio::test]
async fn a_breaker_opens_by_the_share_of_failures_that_say_the_system_is_down() {
    let db = Database::new().await;
    let mut hand = known(db.pool()).await;
    assert_eq!(tell(&mut hand, &[ends(Some("network"), 9, None)]).await, [], "too few to say anything");
    for of_no_matter in ["validation", "bug", "auth", "business_rule"] {
        assert_eq!(tell(&mut hand, &[ends(Some(of_no_matter), 100, None)]).await, [], "{of_no_matter}");
    }
    breaker::count(&mut hand.connection, &[ends(None, 20, None)]).await.expect("counted");
    assert_eq!(tell(&mut hand, &[ends(Some("timeout"), 10, None)]).await, [], "19 of 39 is less than a half");
    let changes = tell(&mut hand, &[ends(Some("upstream"), 1, None)]).await;
    assert_eq!((changes[0].system.as_str(), changes[0].act.as_str()), (SYSTEM, "open"));
    let now = breaker(db.pool()).await;
    assert_eq!((now.state.as_str(), now.failed, now.ended, now.openings), ("open", 20, 40, 1));
    assert_eq!((now.last_category.as_deref(), now.last_error.as_deref()), (Some("upstream"), Some("it failed: upstream")));
    assert_eq!(now.kinds, ["test.call"]);
}

#[tokio::test]
async fn what_failed_before_the_window_is_forgotten() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    let mut hand = known(db.pool()).await;
    tell(&mut hand, &[ends(Some("network"), 9, None)]).await;
    clock::step(db.pool(), 61.0).await;
    assert_eq!(tell(&mut hand, &[ends(Some("network"), 9, None)]).await, []);
    assert_eq!(breaker(db.pool()).await.failed, 9);
    assert_eq!(tell(&mut hand, &[ends(Some("network"), 1, None)]).await.len(), 1);
}

#[tokio::test]
async fn while_it_is_open_its_jobs_stay_where_they_are_and_others_run() {
    let db = Database::new().await;
    let mut hand = known(db.pool()).await;
    let held = calls(db.pool(), 3).await;
    let running = hand.take(1).await;
    let five = limit::Change { cap: Some(Some(5)), ..limit::Change::default() };
    limit::set(db.pool(), Scope::Queue, "slow", five, "a test").await.expect("set");
    open(&mut hand).await;
    let free = Client::new(db.pool().clone()).enqueue(&of(&NoOp { n: 1 })).await.expect("enqueued").id;
    let taken = hand.take(10).await;
    assert_eq!(taken.iter().map(|job| job.job_id).collect::<Vec<_>>(), [free]);
    // What runs goes on, and its retry waits with the others.
    hand.settle(&[ended(&running[0], failed(Category::Network)), ended(&taken[0], done())]).await;
    due_now(db.pool()).await;
    promote(&mut hand.connection).await;
    assert_eq!(hand.take(10).await.len(), 0);
    for id in held {
        assert_eq!(state_of(db.pool(), id).await, "ready");
    }
    let reasons = why(db.pool(), running[0].job_id).await.expect("it is there").reasons;
    let words = reasons[0].to_string();
    assert!(words.starts_with("breaker test.system is open since ") && words.contains(", the next probe goes at "), "{words}");
    assert!(words.ends_with("; the last error was `it failed: network`"), "{words}");
}

#[tokio::test]
async fn of_all_workers_that_ask_one_gets_the_probe() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    let mut hand = known(db.pool()).await;
    let jobs = calls(db.pool(), 20).await;
    open(&mut hand).await;
    assert_eq!(probe(&mut hand).await.len(), 0, "it cools down");
    clock::step(db.pool(), 11.0).await;
    let mut asking = Vec::new();
    for _ in 0..12 {
        let mut hand = Hand::new(db.pool()).await;
        asking.push(tokio::spawn(async move { probe(&mut hand).await.len() }));
    }
    let mut probes = 0;
    for worker in asking {
        probes += worker.await.expect("no panic");
    }
    assert_eq!(probes, 1);
    let now = breaker(db.pool()).await;
    assert_eq!((now.state.as_str(), now.probe_job), ("half_open", Some(jobs[0])), "the first in line");
    assert_eq!(hand.take(10).await.len(), 0, "the others wait for what becomes of it");
    assert_eq!(
        why(db.pool(), jobs[5]).await.expect("it is there").reasons[0].to_string().split(" since").next(),
        Some("breaker test.system is half open")
    );
}

/// A breaker that was opened and has cooled down, with three jobs that call its system, and the probe among them.
async fn half_open(db: &Database) -> (Hand, Vec<Claimed>) {
    clock::own(db.pool()).await;
    let mut hand = known(db.pool()).await;
    calls(db.pool(), 3).await;
    open(&mut hand).await;
    clock::step(db.pool(), 11.0).await;
    let probes = probe(&mut hand).await;
    (hand, probes)
}

#[tokio::test]
async fn a_probe_that_is_answered_closes_it_and_what_failed_before_counts_no_more() {
    let db = Database::new().await;
    let (mut hand, probes) = half_open(&db).await;
    assert!(probes[0].probe);
    hand.complete(&[ended(&probes[0], done())]).await;
    assert_eq!(told(&mut hand, &probes[0], Finding::Answered).await[0].act, "close");
    assert_eq!(breaker(db.pool()).await.state, "closed");
    assert_eq!(hand.take(10).await.len(), 2);
    assert_eq!(tell(&mut hand, &[ends(Some("network"), 9, None)]).await, []);
    assert_eq!(told(&mut hand, &probes[0], Finding::Failed("network")).await, [], "it is told of once");
}

#[tokio::test]
async fn each_probe_that_fails_makes_the_cool_down_longer_up_to_its_longest() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    let mut hand = known(db.pool()).await;
    let rule = Rule { cooldown_most_ms: Some(60_000), ..Rule::default() };
    assert!(breaker::set(db.pool(), SYSTEM, &rule, "ann").await.expect("set"));
    calls(db.pool(), 9).await;
    open(&mut hand).await;
    for expected in [10.0, 20.0, 40.0, 60.0, 60.0] {
        let seconds = cooldown(db.pool()).await;
        assert!(about(seconds, expected), "{seconds} s, not {expected}");
        clock::step(db.pool(), seconds + 0.1).await;
        let probes = probe(&mut hand).await;
        hand.settle(&[ended(&probes[0], failed(Category::Network))]).await;
        assert_eq!(told(&mut hand, &probes[0], Finding::Failed("network")).await[0].act, "open");
    }
    assert_eq!(breaker(db.pool()).await.openings, 6);
}

#[tokio::test]
async fn the_cool_down_is_never_shorter_than_the_other_side_asked() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    let mut hand = known(db.pool()).await;
    tell(&mut hand, &[ends(Some("rate_limited"), 10, Some(95_000))]).await;
    assert!(about(cooldown(db.pool()).await, 95.0));
    tell(&mut hand, &[ends(Some("rate_limited"), 1, Some(200_000))]).await;
    assert!(about(cooldown(db.pool()).await, 200.0), "a straggler was told more");
    tell(&mut hand, &[ends(Some("rate_limited"), 1, Some(1000)), ends(Some("validation"), 1, Some(3_000_000))]).await;
    assert!(about(cooldown(db.pool()).await, 200.0), "or less, or something else");
    tell(&mut hand, &[ends(Some("rate_limited"), 1, Some(i64::MAX))]).await;
    assert!(about(cooldown(db.pool()).await, 86_400.0), "a day at most");
}

#[tokio::test]
async fn a_probe_that_says_nothing_is_followed_by_another() {
    let db = Database::new().await;
    let (mut hand, first) = half_open(&db).await;
    assert_eq!(told(&mut hand, &first[0], Finding::Failed("validation")).await, []);
    assert_eq!(probe(&mut hand).await.len(), 0, "in a second");
    clock::step(db.pool(), 1.1).await;
    assert_ne!(probe(&mut hand).await[0].job_id, first[0].job_id);
    assert_eq!(breaker(db.pool()).await.openings, 1, "and the cool-down is no longer for it");
}

#[tokio::test]
async fn a_probe_that_made_no_call_gives_its_turn_to_the_next_at_once() {
    let db = Database::new().await;
    let (mut hand, first) = half_open(&db).await;
    hand.settle(&[ended(&first[0], Verdict::Snoozed(60_000))]).await;
    assert_eq!(told(&mut hand, &first[0], Finding::NoCall).await, []);
    let now = breaker(db.pool()).await;
    assert_eq!((now.state.as_str(), now.openings, now.ended, now.failed), ("open", 1, 10, 10), "neither an answer nor a failure");
    assert_eq!(hand.take(10).await.len(), 0, "and the others are still held");
    let next = probe(&mut hand).await;
    assert_ne!(next[0].job_id, first[0].job_id);
    hand.complete(&[ended(&next[0], done())]).await;
    assert_eq!(told(&mut hand, &next[0], Finding::Answered).await[0].act, "close");
}

#[tokio::test]
async fn a_probe_whose_worker_died_is_followed_by_another() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    let mut hand = known(db.pool()).await;
    let jobs = calls(db.pool(), 2).await;
    open(&mut hand).await;
    clock::step(db.pool(), 11.0).await;
    let mut dying = Hand::new(db.pool()).await;
    let probes = probe(&mut dying).await;
    let looks = async |hand: &mut Hand| breaker::look(&mut hand.connection, &[SYSTEM]).await.expect("looked").remove(0);
    dying.die().await;
    assert!(!looks(&mut hand).await.probe_lost, "nobody has given it back yet: it may run");
    claim::rescue(&mut hand.connection, Orphan { worker_id: dying.id, id: probes[0].claim_id }).await.expect("rescued");
    assert!(!looks(&mut hand).await.probe_lost, "its worker may tell yet");
    clock::step(db.pool(), 3.1).await;
    let look = looks(&mut hand).await;
    assert!(look.probe_lost && look.barred);
    told(&mut hand, &probes[0], Finding::Nothing).await;
    clock::step(db.pool(), 1.1).await;
    let next = probe(&mut hand).await;
    assert_eq!((next[0].job_id, next[0].attempt), (jobs[0], 2), "the one that was lost goes first");
    told(&mut hand, &probes[0], Finding::Nothing).await;
    assert_eq!(breaker(db.pool()).await.state, "half_open", "who saw the first one lost and says so late says nothing of the next");
    hand.complete(&[ended(&next[0], done())]).await;
    assert_eq!(told(&mut hand, &next[0], Finding::Answered).await[0].act, "close");
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn an_operator_holds_it_open_or_closed_and_lets_it_go() {
    let db = Database::new().await;
    let mut hand = known(db.pool()).await;
    let jobs = calls(db.pool(), 6).await;
    let hold = async |held| breaker::hold(db.pool(), SYSTEM, held, "ann", Some("their move")).await.expect("held");
    assert!(hold(Some(Held::Open)).await);
    assert_eq!((hand.take(1).await.len(), probe(&mut hand).await.len()), (0, 0), "and nothing is tried");
    let words = why(db.pool(), jobs[0]).await.expect("it is there").reasons[0].to_string();
    assert!(words.ends_with(", held by ann until `rawops breakers auto`: their move"), "{words}");
    assert!(hold(Some(Held::Closed)).await);
    assert_eq!(hand.take(1).await.len(), 1);
    assert_eq!(tell(&mut hand, &[ends(Some("network"), 50, None)]).await, [], "whatever is counted");
    assert_eq!(hand.take(1).await.len(), 1);
    assert!(hold(None).await);
    assert_eq!(tell(&mut hand, &[ends(Some("network"), 9, None)]).await, [], "it begins anew");
    assert_eq!(tell(&mut hand, &[ends(Some("network"), 1, None)]).await.len(), 1);
    assert!(hold(Some(Held::Open)).await && hold(None).await);
    assert_eq!(hand.take(1).await.len(), 0);
    assert_eq!(probe(&mut hand).await.len(), 1, "what was held open is tried with one job first");
    assert!(!breaker::hold(db.pool(), "nobody", None, "ann", None).await.expect("asked"));
    let nonsense = Rule { share: Some(1.5), ..Rule::default() };
    assert!(matches!(breaker::set(db.pool(), SYSTEM, &nonsense, "ann").await, Err(StoreError::Refused(_))));
}

#[tokio::test]
async fn a_probe_keeps_to_the_limits_of_its_kind() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    let mut hand = known(db.pool()).await;
    let one = limit::Change { cap: Some(Some(1)), ..limit::Change::default() };
    limit::set(db.pool(), Scope::Kind, "test.call", one, "a test").await.expect("set");
    calls(db.pool(), 3).await;
    open(&mut hand).await;
    clock::step(db.pool(), 11.0).await;
    let first = probe(&mut hand).await;
    assert_eq!(first.len(), 1);
    told(&mut hand, &first[0], Finding::Failed("bug")).await;
    clock::step(db.pool(), 1.1).await;
    assert_eq!(probe(&mut hand).await.len(), 0, "the first still has the only permit");
    assert_eq!(breaker(db.pool()).await.state, "open", "and another is let go when it can");
    hand.complete(&[ended(&first[0], done())]).await;
    assert_eq!(probe(&mut hand).await.len(), 1);
    assert_eq!(count(db.pool(), "select count(*) from engine.permit").await, 1);
}

#[tokio::test]
async fn a_suspect_is_not_run_alone_while_its_system_is_down() {
    let db = Database::new().await;
    let mut hand = known(db.pool()).await;
    let job = calls(db.pool(), 1).await[0];
    for _ in 0..2 {
        let taken = hand.take(1).await;
        hand.die().await;
        claim::rescue(&mut hand.connection, Orphan { worker_id: hand.id, id: taken[0].claim_id }).await.expect("rescued");
        hand = known(db.pool()).await;
    }
    due_now(db.pool()).await;
    open(&mut hand).await;
    let alone = async |hand: &mut Hand| claim::take_alone(&mut hand.connection, hand.id, &hand.kinds, &hand.queues).await.expect("asked");
    let due =
        async |hand: &mut Hand| scheduled::suspects_due(&mut hand.connection, hand.id, &hand.kinds, &hand.queues).await.expect("asked");
    assert!(alone(&mut hand).await.is_none());
    assert!(!due(&mut hand).await, "and no worker lets all else end for it");
    breaker::hold(db.pool(), SYSTEM, Some(Held::Closed), "ann", None).await.expect("held");
    assert!(due(&mut hand).await);
    let taken = alone(&mut hand).await.expect("it runs");
    assert_eq!((taken.job_id, taken.probe), (job, false));
}

#[tokio::test]
async fn a_suspect_that_is_the_only_job_of_its_system_is_its_probe() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    let mut hand = known(db.pool()).await;
    let job = calls(db.pool(), 1).await[0];
    open(&mut hand).await;
    for _ in 0..2 {
        clock::step(db.pool(), 11.0).await;
        let probes = probe(&mut hand).await;
        hand.die().await;
        claim::rescue(&mut hand.connection, Orphan { worker_id: hand.id, id: probes[0].claim_id }).await.expect("rescued");
        hand = known(db.pool()).await;
        told(&mut hand, &probes[0], Finding::Nothing).await;
    }
    clock::step(db.pool(), 11.0).await;
    assert_eq!(probe(&mut hand).await.len(), 0, "it is not ready, and there is no other");
    assert!(scheduled::suspects_due(&mut hand.connection, hand.id, &hand.kinds, &hand.queues).await.expect("asked"));
    let mut another = Hand::new(db.pool()).await;
    let alone = async |hand: &mut Hand| claim::take_alone(&mut hand.connection, hand.id, &hand.kinds, &hand.queues).await.expect("asked");
    let taken = alone(&mut hand).await.expect("it finds out");
    assert_eq!((taken.job_id, taken.probe), (job, true));
    assert!(alone(&mut another).await.is_none());
    let now = breaker(db.pool()).await;
    assert_eq!((now.state.as_str(), now.probe_job), ("half_open", Some(job)));
    hand.complete(&[ended(&taken, done())]).await;
    assert_eq!(told(&mut hand, &taken, Finding::Answered).await[0].act, "close");
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn a_kind_that_calls_another_system_from_now_on_leaves_the_old_one() {
    let db = Database::new().await;
    let mut hand = known(db.pool()).await;
    calls(db.pool(), 1).await;
    open(&mut hand).await;
    breaker::declare(&mut hand.connection, &[("test.call", Some("another"))]).await.expect("declared");
    assert_eq!(hand.take(1).await.len(), 1);
    breaker::declare(&mut hand.connection, &[("test.call", None)]).await.expect("declared");
    assert_eq!(count(db.pool(), "select count(*) from engine.breaker_kind").await, 0);
    let kept: Vec<(String, DateTime<Utc>)> =
        sqlx::query_as("select system, since from engine.breaker order by system").fetch_all(db.pool()).await.expect("rows");
    assert_eq!(kept.len(), 2, "what operators have set of them stays");
}
