//! Limits that operators change while jobs run: what runs counts at once, and what was kept for a limit of before is given back.

use engine::{
    Category, Client, JobId, Limit, StoreError,
    store::{
        claim::Claimed,
        limit::{self, Change},
        pause::Scope,
        waiting,
    },
};
use sqlx::PgPool;

use super::{
    hand::{Hand, count, done, due_now, ended, enqueue as plain, failed, promote},
    jobs::{of, state_of},
    limits::{enqueue, limit as cap_of_key},
    rates::{at_once, rate, set},
};
use crate::support::{Database, clock, kinds::Sleep, ledger};

fn ids(jobs: &[Claimed]) -> Vec<JobId> {
    jobs.iter().map(|job| job.job_id).collect()
}

async fn permits(pool: &PgPool) -> i64 {
    count(pool, "select coalesce(sum(jobs), 0)::bigint from engine.permit").await
}

async fn recount(hand: &mut Hand) -> i32 {
    limit::count_permits(&mut hand.connection, None).await.expect("counted")
}

#[tokio::test]
async fn what_runs_already_counts_under_a_limit_that_is_new() {
    for (scope, name) in [(Scope::Kind, "test.no_op"), (Scope::Queue, "default")] {
        let db = Database::new().await;
        plain(db.pool(), 6).await;
        let mut hand = Hand::new(db.pool()).await;
        let running = hand.take(3).await;
        set(db.pool(), scope, name, at_once(4)).await;
        let mut others = hand.take_limited(10).await.jobs;
        assert_eq!(others.len(), 1, "three ran before");
        hand.complete(&[ended(&running[0], done())]).await;
        assert!(hand.take_limited(10).await.jobs.is_empty(), "its worker knows of no permit");
        assert_eq!((recount(&mut hand).await, recount(&mut hand).await), (1, 0));
        others.extend(hand.take_limited(10).await.jobs);
        assert_eq!((others.len(), permits(db.pool()).await), (2, 4));
        for job in running[1..].iter().chain(&others) {
            hand.complete(&[ended(job, done())]).await;
        }
        assert_eq!(count(db.pool(), "select count(*) from engine.permit").await, 0, "at the latest they go with their claim");
        ledger::check(db.pool()).await;
    }
}

#[tokio::test]
async fn of_a_claim_of_several_kinds_the_limits_own_count() {
    let db = Database::new().await;
    Client::new(db.pool().clone()).enqueue_many(&vec![of(&Sleep { ms: 1 }); 2]).await.expect("enqueued");
    plain(db.pool(), 2).await;
    let mut hand = Hand::new(db.pool()).await;
    let running = hand.take(10).await;
    assert_eq!(running.len(), 4);
    plain(db.pool(), 5).await;
    limit::declare(&mut hand.connection, &Limit::of_kind("test.no_op").at_once(3)).await.expect("declared");
    assert_eq!(hand.take_limited(10).await.jobs.len(), 1, "two of the kind ran when the program came that limits it");
    limit::declare(&mut hand.connection, &Limit::of_kind("test.no_op").at_once(4)).await.expect("declared");
    assert_eq!((permits(db.pool()).await, hand.take_limited(10).await.jobs.len()), (3, 1), "none is counted twice");
    let other = running.iter().find(|job| job.kind == "test.sleep").expect("two of them");
    let ending =
        engine::store::attempt::complete_one(&mut hand.connection, hand.id, other.claim_id, (other.job_id, 1), 0, &serde_json::Value::Null);
    assert!(!ending.await.expect("completed"), "in time");
    assert_eq!(permits(db.pool()).await, 4, "it was of another kind");
    doctor_finds_no_fault(db.pool()).await;
    sqlx::query("delete from engine.claim").execute(db.pool()).await.expect("closed by who did not see what was counted");
    recount(&mut hand).await;
    assert_eq!(count(db.pool(), "select count(*) from engine.permit").await, 0);
}

/// What runs under a limit that is newer is counted otherwise than by its worker, and no fault.
async fn doctor_finds_no_fault(pool: &PgPool) {
    let found = engine::store::doctor::examine(pool).await.expect("the doctor can look");
    assert!(found.iter().all(|finding| finding.check != "permit_without_run"), "{found:?}");
}

#[tokio::test]
async fn a_limit_that_is_taken_back_and_set_again_knows_what_runs_and_what_its_rate_owes() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    plain(db.pool(), 3).await;
    let (kind, mut hand) = ("test.no_op", Hand::new(db.pool()).await);
    let hourly = Change { cap: Some(Some(2)), ..rate(1, 3600, 1) };
    set(db.pool(), Scope::Kind, kind, hourly).await;
    assert_eq!(hand.take_limited(10).await.jobs.len(), 1);
    assert_eq!(limit::unset(db.pool(), Scope::Kind, kind).await.expect("taken back"), Some(false));
    assert_eq!(limit::list(db.pool()).await.expect("listed"), []);
    assert_eq!(limit::unset(db.pool(), Scope::Kind, kind).await.expect("asked"), None, "there is none any more");
    set(db.pool(), Scope::Kind, kind, hourly).await;
    let taken = hand.take_limited(10).await;
    assert!(taken.jobs.is_empty() && taken.wait.is_some_and(|wait| wait.as_secs() > 3000), "{taken:?}");
    assert_eq!(limit::list(db.pool()).await.expect("listed")[0].taken, 1);

    limit::unset(db.pool(), Scope::Kind, kind).await.expect("taken back");
    for _ in 0..2 {
        set(db.pool(), Scope::Queue, "default", at_once(1)).await;
        assert!(hand.take_limited(10).await.jobs.is_empty(), "the one that runs is of the queue");
        assert_eq!(limit::unset(db.pool(), Scope::Queue, "default").await.expect("taken back"), Some(false));
    }
    clock::step(db.pool(), 3601.0).await;
    limit::unset(db.pool(), Scope::Kind, "another").await.expect("asked");
    assert_eq!(count(db.pool(), "select count(*) from engine.limit_setting").await, 0, "nothing is owed any more");
}

#[tokio::test]
async fn above_a_lowered_cap_no_slot_goes_on() {
    let db = Database::new().await;
    cap_of_key(db.pool(), "one", 10, false).await;
    let jobs = enqueue(db.pool(), "one", 12).await;
    let mut hand = Hand::new(db.pool()).await;
    hand.admit("one").await;
    let running = hand.take(10).await;
    assert_eq!(ids(&running), jobs[..10]);
    cap_of_key(db.pool(), "one", 2, false).await;
    for job in &running[..8] {
        hand.complete(&[ended(job, done())]).await;
    }
    assert_eq!(count(db.pool(), "select count(*) from engine.slot").await, 2, "none was handed on");
    assert!(hand.take(10).await.is_empty());
    hand.complete(&[ended(&running[8], done()), ended(&running[9], done())]).await;
    assert_eq!((hand.admit("one").await, ids(&hand.take(10).await)), (2, jobs[10..].to_vec()));
}

#[tokio::test]
async fn beside_one_that_stands_above_a_lowered_cap_the_others_are_as_many_as_may_be() {
    let db = Database::new().await;
    cap_of_key(db.pool(), "one", 3, false).await;
    let jobs = enqueue(db.pool(), "one", 6).await;
    let mut hand = Hand::new(db.pool()).await;
    hand.admit("one").await;
    let running = hand.take(10).await;
    cap_of_key(db.pool(), "one", 2, false).await;
    hand.complete(&[ended(&running[0], done()), ended(&running[1], done())]).await;
    assert_eq!(ids(&hand.take(10).await), jobs[3..4], "one goes on beside that in slot 3");
    assert_eq!(hand.admit("one").await, 0);
}

#[tokio::test]
async fn a_key_that_keeps_its_order_no_more_gives_back_what_was_kept_for_it() {
    for (way, given_back_later) in [("set", 0), ("unset", 0), ("by hand", 1)] {
        let db = Database::new().await;
        cap_of_key(db.pool(), "one", 1, true).await;
        let mut hand = Hand::new(db.pool()).await;
        let jobs = enqueue(db.pool(), "one", 2).await;
        hand.admit("one").await;
        let first = hand.take(10).await;
        hand.settle(&[ended(&first[0], failed(Category::Network))]).await;
        let give_back = async |hand: &mut Hand| waiting::give_back_kept(&mut hand.connection, 10).await.expect("looked");
        assert_eq!(give_back(&mut hand).await, 0, "it waits for its retry, in its place");
        match way {
            "set" => set(db.pool(), Scope::Key, "one", Change { in_order: Some(false), ..Change::default() }).await,
            "unset" => assert_eq!(limit::unset(db.pool(), Scope::Key, "one").await.expect("taken back"), Some(false)),
            _ => cap_of_key(db.pool(), "one", 1, false).await,
        }
        assert_eq!((give_back(&mut hand).await, give_back(&mut hand).await), (given_back_later, 0), "{way}");
        assert_eq!(state_of(db.pool(), jobs[1]).await, "ready");
        due_now(db.pool()).await;
        promote(&mut hand.connection).await;
        assert_eq!(state_of(db.pool(), jobs[0]).await, "waiting");
        for next in [jobs[1], jobs[0]] {
            let taken = hand.take(10).await;
            assert_eq!(ids(&taken), [next]);
            hand.complete(&[ended(&taken[0], done())]).await;
        }
        ledger::check(db.pool()).await;
    }
}

#[tokio::test]
async fn a_promotion_leaves_one_whose_slot_is_given_back_at_this_moment() {
    let db = Database::new().await;
    cap_of_key(db.pool(), "one", 1, true).await;
    let mut hand = Hand::new(db.pool()).await;
    let jobs = enqueue(db.pool(), "one", 2).await;
    hand.admit("one").await;
    let first = hand.take(10).await;
    hand.settle(&[ended(&first[0], failed(Category::Network))]).await;
    due_now(db.pool()).await;
    cap_of_key(db.pool(), "one", 1, false).await;
    let mut giving = db.pool().begin().await.expect("a transaction");
    assert_eq!(waiting::give_back_kept(&mut giving, 10).await.expect("given back"), 1);
    promote(&mut hand.connection).await;
    assert_eq!(state_of(db.pool(), jobs[0]).await, "scheduled", "somebody has its row");
    giving.commit().await.expect("committed");
    promote(&mut hand.connection).await;
    assert_eq!(state_of(db.pool(), jobs[0]).await, "waiting");
}

#[tokio::test]
async fn only_keys_have_an_order() {
    let db = Database::new().await;
    let in_order = Change { in_order: Some(true), ..Change::default() };
    for (scope, name) in [(Scope::Queue, "default"), (Scope::Kind, "test.no_op")] {
        let refused = limit::set(db.pool(), scope, name, in_order, "a test").await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
    set(db.pool(), Scope::Key, "one", in_order).await;
}

#[tokio::test]
async fn what_is_taken_away_of_a_limit_is_gone_and_something_stays() {
    let db = Database::new().await;
    let (no_cap, no_rate) = (Change { cap: Some(None), ..Change::default() }, Change { rate: Some(None), ..Change::default() });
    let rule = async |name: &str| {
        let limits = limit::list(db.pool()).await.expect("listed");
        limits.into_iter().find(|limit| limit.name == name).map(|limit| (limit.cap, limit.rate, limit.per_ms, limit.burst))
    };
    set(db.pool(), Scope::Kind, "test.no_op", Change { cap: Some(Some(2)), ..rate(20, 1, 3) }).await;
    set(db.pool(), Scope::Kind, "test.no_op", no_rate).await;
    assert_eq!(rule("test.no_op").await, Some((Some(2), None, None, None)));
    let refused = async |scope, name, change| match limit::set(db.pool(), scope, name, change, "a test").await {
        Err(StoreError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    let why = refused(Scope::Kind, "test.no_op", no_cap).await;
    assert_eq!(why, "nothing would be left of the limit of kind test.no_op: `rawops limits unset` takes it away");
    assert_eq!(rule("test.no_op").await, Some((Some(2), None, None, None)), "and nothing was changed");
    refused(Scope::Queue, "default", no_rate).await;
    assert_eq!(rule("default").await, None, "and none was made");

    // An order, or a weight, is something to keep.
    cap_of_key(db.pool(), "one", 1, true).await;
    set(db.pool(), Scope::Key, "one", no_cap).await;
    assert_eq!(rule("one").await, Some((None, None, None, None)));

    let mut connection = db.pool().acquire().await.expect("a connection");
    limit::declare(&mut connection, &Limit::of_key("two").at_once(2)).await.expect("declared");
    let why = refused(Scope::Key, "two", no_cap).await;
    assert!(why.ends_with("`rawops limits unset` puts what the program declares in force again"), "{why}");
}

#[test]
#[should_panic(expected = "keys have an order")]
fn a_kind_that_is_declared_to_have_an_order_is_a_mistake() {
    let _ = Limit::of_kind("test.no_op").in_order();
}
