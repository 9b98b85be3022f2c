//! Jobs that kill their worker and have a limit key with a rate: each of their runs counts, and they die of it as any other.

use engine::{
    JobId,
    store::{pause::Scope, waiting},
};
use sqlx::PgPool;

use super::{
    hand::{Hand, count, due_now},
    jobs::{Running, outcomes, state_of},
    limits::enqueue,
    rates::{has_to_wait, rate, set},
};
use crate::support::{Database, clock, wait};

/// Lets the worker die that runs a job, which is counted against its rate first.
async fn kill(mut hand: Hand, job: JobId) {
    assert!(!has_to_wait(&mut hand.connection, job).await, "the rate has something for it");
    hand.be_rescued().await;
}

#[tokio::test]
async fn a_killer_of_a_key_with_a_rate_waits_for_its_share_and_dies_at_last() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    set(db.pool(), Scope::Key, "one", rate(1, 60, 1)).await;
    let jobs = enqueue(db.pool(), "one", 2).await;
    let mut hand = Hand::new(db.pool()).await;
    assert_eq!(hand.admit("one").await, 1);
    for _ in 0..2 {
        assert_eq!(hand.take(10).await[0].job_id, jobs[0]);
        kill(hand, jobs[0]).await;
        clock::step(db.pool(), 61.0).await;
        hand = Hand::new(db.pool()).await;
    }
    for _ in 0..3 {
        due_now(db.pool()).await;
        assert_eq!(hand.admit("one").await, 0, "what the rate has is the suspect's");
        assert_eq!(hand.take_alone().await[0].job_id, jobs[0]);
        kill(hand, jobs[0]).await;
        due_now(db.pool()).await;
        hand = Hand::new(db.pool()).await;
        assert!(hand.take_alone().await.is_empty(), "the rate has nothing left");
        clock::step(db.pool(), 61.0).await;
    }
    assert_eq!(state_of(db.pool(), jobs[0]).await, "dead");
    assert_eq!(hand.admit("one").await, 1, "the next has its share now");
}

/// Another of the key is counted at the moment at which somebody claims.
const SPENT: &str = "
    create function public.spend() returns trigger language plpgsql as $$
    begin
        insert into engine.pace (limit_key, free_at) values ('one', engine.now() + interval '1 hour')
        on conflict (limit_key) do update set free_at = excluded.free_at;
        return null;
    end $$;
    create trigger spend after insert on engine.claim for each row execute function public.spend();";

async fn is_alone(pool: &PgPool, job: JobId) -> bool {
    sqlx::query_scalar("select alone from engine.scheduled where job_id = $1").bind(job).fetch_one(pool).await.expect("it is scheduled")
}

#[tokio::test]
async fn a_suspect_that_finds_its_share_gone_stays_one_and_keeps_its_slot() {
    let db = Database::new().await;
    set(db.pool(), Scope::Key, "one", rate(1, 3600, 1)).await;
    let job = enqueue(db.pool(), "one", 1).await[0];
    let mut hand = Hand::new(db.pool()).await;
    assert_eq!(hand.admit("one").await, 1);
    for _ in 0..2 {
        assert_eq!(hand.take(10).await[0].job_id, job);
        hand.be_rescued().await;
        hand = Hand::new(db.pool()).await;
    }
    sqlx::raw_sql(SPENT).execute(db.pool()).await.expect("made");
    due_now(db.pool()).await;
    let worker = Running::start(db.pool(), 1);
    wait::until("it was sent back", super::workflows::LIMIT, || async { outcomes(db.pool(), job).await.len() == 3 }).await;
    worker.stop().await;
    assert_eq!(outcomes(db.pool(), job).await, ["lost", "lost", "released"]);
    assert!(is_alone(db.pool(), job).await);
    assert_eq!(waiting::give_back_kept(&mut hand.connection, 10).await.expect("looked"), 0);
    assert_eq!(count(db.pool(), "select count(*) from engine.slot where not charged").await, 1);
}
