//! Why a job has not started: each reason there is, and an estimate where one can be made.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use engine::{
    Category, Client, JobId, StoreError,
    store::{
        attempt::Verdict,
        breaker, claim, limit,
        pause::{self, Scope, Window},
        why::why,
        worker,
    },
    why::{Reason, Why},
};
use sqlx::PgPool;

use super::hand::{Hand, done, ended, failed};
use super::jobs::{of, state_of};
use super::limits::{enqueue, limit};
use crate::support::{Database, kinds::NoOp};

async fn plain(pool: &PgPool) -> JobId {
    Client::new(pool.clone()).enqueue(&of(&NoOp { n: 1 })).await.expect("enqueued").id
}

async fn served(pool: &PgPool) -> Hand {
    let hand = Hand::new(pool).await;
    sqlx::query("update engine.worker set info = '{\"kinds\": [\"test.no_op\"], \"queues\": [\"default\"]}' where id = $1")
        .bind(hand.id)
        .execute(pool)
        .await
        .expect("a worker that says what it does");
    hand
}

async fn of_job(pool: &PgPool, id: JobId) -> Why {
    why(pool, id).await.expect("the job is there")
}

async fn words(pool: &PgPool, id: JobId) -> Vec<String> {
    of_job(pool, id).await.reasons.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_job_that_nobody_serves_says_who_is_missing() {
    let db = Database::new().await;
    let id = plain(db.pool()).await;
    assert_eq!(words(db.pool(), id).await, ["no live worker knows kind test.no_op"]);
    let mut hand = served(db.pool()).await;
    assert_eq!(words(db.pool(), id).await, ["it is next: a worker takes it as soon as one has room"]);
    sqlx::query("update engine.worker set info = jsonb_set(info, '{queues}', '[\"slow\"]')").execute(db.pool()).await.expect("it moves");
    assert_eq!(words(db.pool(), id).await, ["no live worker of kind test.no_op serves queue default; 1 of that kind serve other queues"]);
    worker::leave(&mut hand.connection, hand.id).await.expect("gone");
    assert_eq!(of_job(db.pool(), id).await.estimated_start, None);
}

#[tokio::test]
async fn a_job_in_line_knows_how_many_are_before_it_and_when_its_turn_should_come() {
    let db = Database::new().await;
    let mut hand = served(db.pool()).await;
    let client = Client::new(db.pool().clone());
    for _ in 0..12 {
        plain(db.pool()).await;
    }
    let urgent = client.enqueue(&of(&NoOp { n: 1 }).priority(0)).await.expect("enqueued").id;
    let last = plain(db.pool()).await;
    let reasons = of_job(db.pool(), last).await;
    assert_eq!(reasons.reasons, [Reason::InLine { of_higher_priority: 1, before: 12 }]);
    assert_eq!(reasons.estimated_start, None, "nothing began yet, so nothing is known");
    assert_eq!(words(db.pool(), urgent).await, ["it is next: a worker takes it as soon as one has room"]);
    for job in hand.take(5).await {
        hand.complete(&[ended(&job, done())]).await;
    }
    // Four of its lane began in the last ten minutes, the first of them 8 s ago.
    sqlx::query("update engine.attempt set started_at = engine.now() - interval '8 seconds'").execute(db.pool()).await.expect("long ago");
    let later = of_job(db.pool(), last).await;
    assert_eq!(later.reasons, [Reason::InLine { of_higher_priority: 0, before: 8 }]);
    let wait = later.estimated_start.expect("a pace is known") - later.at;
    assert!((TimeDelta::seconds(17)..TimeDelta::seconds(21)).contains(&wait), "eight at two seconds each, and its own: {wait}");
    let mut dying = Hand::new(db.pool()).await;
    assert_eq!(dying.take(1).await.len(), 1);
    dying.be_rescued().await;
    let behind = of_job(db.pool(), last).await;
    assert_eq!(behind.reasons, [Reason::InLine { of_higher_priority: 0, before: 8 }], "one of them in front");
    assert!(behind.estimated_start.is_some(), "the pace is that of those before");
}

#[tokio::test]
async fn a_job_that_waits_for_its_key_knows_its_place() {
    let db = Database::new().await;
    limit(db.pool(), "shop:*", 2, false).await;
    let mut hand = served(db.pool()).await;
    let jobs = enqueue(db.pool(), "shop:1", 5).await;
    hand.admit("shop:1").await;
    assert_eq!(words(db.pool(), jobs[3]).await, ["limit of key shop:1 is at 2/2, and it is number 2 of those that wait"]);
    pause::begin(db.pool(), Scope::Key, "shop:1", Window::default(), "ann", Some("their move")).await.expect("held");
    let held = of_job(db.pool(), jobs[3]).await;
    assert_eq!(held.estimated_start, None);
    assert!(held.reasons[0].to_string().starts_with("key shop:1 is paused since "), "{:?}", held.reasons);
    assert!(held.reasons[0].to_string().ends_with(" until somebody resumes it, by ann: their move"), "{:?}", held.reasons);
    assert_eq!(held.reasons[1].to_string(), "it is number 4 of those that wait for key shop:1, which gives no slots");
}

#[tokio::test]
async fn a_job_is_told_of_every_pause_that_holds_it() {
    let db = Database::new().await;
    let _hand = served(db.pool()).await;
    let id = plain(db.pool()).await;
    let until = Utc::now() + TimeDelta::hours(1);
    pause::begin(db.pool(), Scope::Queue, "default", Window { from: None, until: Some(until) }, "ann", None).await.expect("held");
    pause::begin(db.pool(), Scope::Kind, "test.no_op", Window::default(), "bob", None).await.expect("held");
    pause::begin(db.pool(), Scope::Kind, "test.fail", Window::default(), "bob", None).await.expect("held");
    let why = of_job(db.pool(), id).await;
    let scopes: Vec<&str> = why
        .reasons
        .iter()
        .map(|reason| match reason {
            Reason::Paused(pause) => pause.scope.as_str(),
            _ => "no pause",
        })
        .collect();
    assert_eq!(scopes, ["queue", "kind"]);
    assert!(why.reasons[0].to_string().contains(&format!(" until {}", until.format("%Y-%m-%d %H:%M:%SZ"))), "{:?}", why.reasons);
}

#[tokio::test]
async fn a_job_at_a_time_a_running_one_and_one_that_ended_say_so() {
    let db = Database::new().await;
    let mut hand = served(db.pool()).await;
    let later = Utc::now() + TimeDelta::hours(1);
    let scheduled = Client::new(db.pool().clone()).enqueue(&of(&NoOp { n: 1 }).run_at(later)).await.expect("enqueued").id;
    assert_eq!(words(db.pool(), scheduled).await, [format!("it is not due until {}", later.format("%Y-%m-%d %H:%M:%SZ"))]);
    let estimate = of_job(db.pool(), scheduled).await.estimated_start.expect("it is known");
    assert!((estimate - later).abs() < TimeDelta::milliseconds(1));

    let [retried, dead, snoozed] = [plain(db.pool()).await, plain(db.pool()).await, plain(db.pool()).await];
    let taken = hand.take(3).await;
    let running = words(db.pool(), retried).await;
    assert!(running[0].starts_with(&format!("it runs on worker {} (hand) since ", hand.id)), "{running:?}");
    sqlx::query("insert into engine.cancel_request (job_id, requested_by) values ($1, 'ann')")
        .bind(snoozed)
        .execute(db.pool())
        .await
        .expect("asked");
    assert!(words(db.pool(), snoozed).await[0].starts_with("ann asked at "));
    sqlx::query("delete from engine.cancel_request").execute(db.pool()).await.expect("taken back");
    hand.settle(&[
        ended(&taken[0], failed(Category::Network)),
        ended(&taken[1], failed(Category::Validation)),
        ended(&taken[2], Verdict::Snoozed(60_000)),
    ])
    .await;
    assert!(words(db.pool(), retried).await[0].ends_with("it is tried again after `on purpose`"), "{:?}", words(db.pool(), retried).await);
    assert_eq!(state_of(db.pool(), dead).await, "dead");
    assert!(words(db.pool(), dead).await[0].ends_with(", validation: on purpose"), "{:?}", words(db.pool(), dead).await);
    assert!(matches!(why(db.pool(), JobId(4711)).await, Err(StoreError::NoSuchJob(_))));
}

#[tokio::test]
async fn of_many_causes_each_is_named_and_what_lasts_longest_comes_first() {
    let db = Database::new().await;
    let pool = db.pool();
    let mut hand = served(pool).await;
    let one = limit::Change { cap: Some(Some(1)), ..limit::Change::default() };
    limit::set(pool, Scope::Kind, "test.no_op", one, "a test").await.expect("set");
    plain(pool).await;
    let lane: i32 = sqlx::query_scalar("select id from engine.lane").fetch_one(pool).await.expect("a lane");
    let wanted = claim::WantedLimited { worker_id: hand.id, limit: 1, lanes: vec![(lane, 0, 1)], in_front: false };
    assert_eq!(claim::take_limited(&mut hand.connection, &wanted).await.expect("claimed").jobs.len(), 1);
    let at = Utc::now() + TimeDelta::days(7);
    let later = Client::new(pool.clone()).enqueue(&of(&NoOp { n: 2 }).run_at(at)).await.expect("enqueued").id;
    let ready = plain(pool).await;
    let firsts =
        async |id| words(pool, id).await.iter().map(|words| words.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    assert_eq!(firsts(later).await, ["it is not", "limit of kind"], "that it is full now says nothing of next week");
    let start = of_job(pool, later).await.estimated_start.expect("it is known");
    assert!((start - at).abs() < TimeDelta::seconds(1));
    assert_eq!(firsts(ready).await, ["limit of kind"]);
    assert_eq!(of_job(pool, ready).await.estimated_start, None);

    pause::begin(pool, Scope::Kind, "test.no_op", Window::default(), "ann", None).await.expect("paused");
    breaker::declare(&mut hand.connection, &[("test.no_op", Some("a shop"))]).await.expect("declared");
    breaker::hold(pool, "a shop", Some(breaker::Held::Open), "ann", None).await.expect("held");
    hand.die().await;
    let held = ["kind test.no_op is", "breaker a shop", "no live worker"];
    assert_eq!(firsts(later).await, [&held[..], &["it is not", "limit of kind"]].concat());
    assert_eq!(firsts(ready).await, [&held[..], &["limit of kind"]].concat());
    assert_eq!(of_job(pool, later).await.estimated_start, None);
}

#[tokio::test]
async fn why_is_quick_behind_a_deep_backlog() {
    let db = Database::new().await;
    let _hand = served(db.pool()).await;
    for _ in 0..10 {
        super::hand::enqueue(db.pool(), 5000).await;
    }
    let last = plain(db.pool()).await;
    let begun = std::time::Instant::now();
    assert_eq!(of_job(db.pool(), last).await.reasons, [Reason::InLine { of_higher_priority: 0, before: 50_000 }]);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
