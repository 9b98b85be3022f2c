//! Emit and wait, statement by statement, in every order that chance finds: each waiter is woken exactly once.
//!
//! `RAWOPS_TEST_INTERLEAVINGS` sets how many; a hundred thousand were run.

use std::{sync::Arc, time::Duration};

use engine::{
    Client, NewJob,
    store::{
        attempt::{self, Verdict},
        claim::Claimed,
        event,
        parked::Suspension,
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::{PgConnection, PgPool};
use tokio::{sync::Semaphore, task::JoinSet};

use super::hand::{Hand, count, ended};
use super::jobs::of;
use crate::support::{Database, kinds::NoOp};

const ROUND: usize = 250;
const AT_ONCE: usize = 6;

fn rounds() -> usize {
    let wanted = std::env::var("RAWOPS_TEST_INTERLEAVINGS").ok().and_then(|text| text.parse().ok()).unwrap_or(1500_usize);
    wanted.div_ceil(ROUND)
}

/// Lets others go first, sometimes.
async fn chance(random: &mut StdRng) {
    match random.random_range(0..4) {
        0 => (),
        1 | 2 => tokio::task::yield_now().await,
        _ => tokio::time::sleep(Duration::from_micros(random.random_range(1..1500))).await,
    }
}

/// What [`engine::Run::wait_event`] and the recorder do, a statement at a time; true when the event was there at once.
async fn wait(connection: &mut PgConnection, worker: i64, job: &Claimed, random: &mut StdRng) -> Result<bool, sqlx::Error> {
    let key = job.job_id.to_string();
    chance(random).await;
    let mut tx = sqlx::Connection::begin(&mut *connection).await?;
    assert!(event::meet(&mut tx, "go", &key).await?, "nobody holds the topic for long");
    chance(random).await;
    let next = event::next(&mut tx, "go", &key, 0, None).await?;
    if next.id.is_none() {
        event::wait(&mut tx, job.job_id, "go", &key, 0).await?;
        chance(random).await;
    }
    tx.commit().await?;
    if next.id.is_some() {
        return Ok(true);
    }
    chance(random).await;
    let parking = ended(job, Verdict::Waiting(Suspension::Event(None)));
    let late = attempt::settle(connection, worker, &[parking], &[0.0], &[]).await?;
    assert!(late.is_empty(), "nobody else ends the attempt");
    Ok(false)
}

/// What an emitter does; it may roll back and come again.
async fn emit(pool: &PgPool, job: &Claimed, random: &mut StdRng) -> Result<i32, sqlx::Error> {
    let key = job.job_id.to_string();
    loop {
        chance(random).await;
        let mut tx = pool.begin().await?;
        let emitted = engine::emit_in(&mut tx, "go", &key, &1, Some("once")).await.expect("emitted");
        chance(random).await;
        if random.random_range(0..8) == 0 {
            tx.rollback().await?;
            continue;
        }
        tx.commit().await?;
        return Ok(emitted.woken);
    }
}

async fn meet(pool: PgPool, turn: Arc<Semaphore>, worker: i64, job: Claimed, seed: u64) -> (bool, i32) {
    let _turn = turn.acquire().await.expect("it is never closed");
    let (mut one, mut other) = (StdRng::seed_from_u64(seed), StdRng::seed_from_u64(!seed));
    let mut connection = pool.acquire().await.expect("a connection");
    if one.random_range(0..16) == 0 {
        // Left to chance, hardly any emitter comes this late.
        let waited = wait(&mut connection, worker, &job, &mut one).await;
        return (waited.expect("waited"), emit(&pool, &job, &mut other).await.expect("emitted"));
    }
    let (waited, emitted) = tokio::join!(wait(&mut connection, worker, &job, &mut one), emit(&pool, &job, &mut other));
    (waited.expect("waited"), emitted.expect("emitted"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_waiter_is_woken_exactly_once_however_emit_and_wait_interleave() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let client = Client::new(db.pool().clone());
    let [mut at_once, mut before_parking, mut unparked] = [0; 3];
    for round in 0..rounds() {
        let jobs: Vec<NewJob> = (0..ROUND as i64).map(|n| of(&NoOp { n })).collect();
        client.enqueue_many(&jobs).await.expect("enqueued");
        let taken = hand.take(ROUND as i64).await;
        assert_eq!(taken.len(), ROUND);
        let (worker, pool) = (hand.id, db.pool());
        let turn = Arc::new(Semaphore::new(AT_ONCE));
        let mut meetings = JoinSet::new();
        for (job, seed) in taken.into_iter().zip((round * ROUND) as u64..) {
            meetings.spawn(meet(pool.clone(), turn.clone(), worker, job, seed));
        }
        let mut waited = 0;
        while let Some(meeting) = meetings.join_next().await {
            match meeting.expect("nobody panics") {
                (true, _) => at_once += 1,
                (false, woken) => {
                    waited += 1;
                    *if woken == 0 { &mut before_parking } else { &mut unparked } += 1;
                }
            }
        }
        assert_eq!(count(pool, "select count(*) from engine.parked").await, 0, "nobody sleeps over the event");
        assert_eq!(count(pool, "select count(*) from engine.event_wait").await, 0);
        assert_eq!(count(pool, "select count(*) from engine.ready").await, waited, "each of those who waited");
        assert_eq!(count(pool, "select count(distinct job_id) from engine.ready").await, waited, "and once");
        sqlx::query("truncate engine.ready, engine.event, engine.topic").execute(pool).await.expect("cleared");
    }
    println!("{at_once} found the event at once, {before_parking} got it on the way to being parked, {unparked} were woken");
    assert!(at_once > 0 && before_parking > 0 && unparked > 0, "every order was met");
}
