//! Who looks at the leases of others, and what proves that one of them is dead.

use engine::store::worker::{self, RunOut};
use sqlx::PgPool;

use super::hand::Hand;
use crate::support::{Database, clock};

/// What a worker with a lease of two seconds finds when it looks at those of the others.
pub async fn look_out(hand: &mut Hand) -> Vec<RunOut> {
    worker::look_out(&mut hand.connection, hand.id, 2000).await.expect("looked")
}

/// Whether it declares the holder dead.
pub async fn declare_dead(hand: &mut Hand, lease: RunOut) -> bool {
    worker::declare_dead(&mut hand.connection, lease, 2000).await.expect("answered")
}

/// Looks until a lease that ran out long ago proves a death, by a clock of the test's own.
pub async fn watched(pool: &PgPool, hand: &mut Hand) -> RunOut {
    clock::own(pool).await;
    look_on(pool, hand, 0.4, 10).await.expect("nobody is found dead after 4 s")
}

/// Looks so many times, after a span of seconds each; returns what that proves at last.
async fn look_on(pool: &PgPool, hand: &mut Hand, span: f64, times: usize) -> Option<RunOut> {
    let mut proven = None;
    for _ in 0..times {
        clock::step(pool, span).await;
        proven = look_out(hand).await.pop();
    }
    proven
}

/// Lets the lease of a worker run out so many seconds from now.
async fn run_out_in(pool: &PgPool, worker: i64, seconds: f64) {
    sqlx::query("update engine.worker set lease_until = engine.now() + make_interval(secs => $2) where id = $1")
        .bind(worker)
        .bind(seconds)
        .execute(pool)
        .await
        .expect("set");
}

/// A database with a clock of its own, a worker in it, and another that looks out for longer than is remembered.
async fn looked_at() -> (Database, i64, Hand) {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    let held = Hand::new(db.pool()).await.id;
    let mut hand = Hand::new(db.pool()).await;
    assert!(look_on(db.pool(), &mut hand, 0.4, 10).await.is_none(), "it lives");
    (db, held, hand)
}

#[tokio::test]
async fn the_dead_are_found_where_nobody_who_looks_lives_for_a_lease() {
    let (db, held, mut hand) = looked_at().await;
    run_out_in(db.pool(), held, 2.0).await;
    for _ in 0..2 {
        assert!(look_on(db.pool(), &mut hand, 0.4, 2).await.is_none(), "it has not run out");
        hand = Hand::new(db.pool()).await;
    }
    let seen = look_on(db.pool(), &mut hand, 0.5, 1).await.expect("it ran out while somebody looked all the time");
    assert!(declare_dead(&mut hand, seen).await);
}

#[tokio::test]
async fn nobody_is_dead_of_a_lease_that_ran_out_while_nobody_looked() {
    let (db, held, mut hand) = looked_at().await;
    for away in [1.2, 60.0, 86_400.0] {
        // Renewed in time before that.
        run_out_in(db.pool(), held, 1.5).await;
        clock::step(db.pool(), away).await;
        assert!(look_out(&mut hand).await.is_empty(), "away for {away} s");
        assert!(look_on(db.pool(), &mut hand, 0.4, 3).await.is_none(), "it may renew, after {away} s");
        let seen = look_on(db.pool(), &mut hand, 0.4, 5).await.unwrap_or_else(|| panic!("it did not, after {away} s"));
        clock::step(db.pool(), 1.2).await;
        assert!(!declare_dead(&mut hand, seen).await, "that was seen before nobody looked once more");
        look_on(db.pool(), &mut hand, 0.4, 8).await;
    }
}

#[tokio::test]
async fn the_dead_are_found_where_looks_are_far_apart() {
    let (db, held, mut hand) = looked_at().await;
    assert!(look_on(db.pool(), &mut hand, 1.3, 4).await.is_none());
    run_out_in(db.pool(), held, 1.2).await;
    assert!(look_on(db.pool(), &mut hand, 1.3, 1).await.is_none(), "it may just be late, as all here are");
    assert!(look_on(db.pool(), &mut hand, 1.3, 1).await.is_some());
}

#[tokio::test]
async fn who_has_a_short_lease_is_judged_by_how_often_others_look() {
    let (db, held, mut hand) = looked_at().await;
    sqlx::query("update engine.worker set info = '{\"lease_ms\": 200}' where id = $1").bind(held).execute(db.pool()).await.expect("told");
    run_out_in(db.pool(), held, 0.2).await;
    assert!(look_on(db.pool(), &mut hand, 0.4, 1).await.is_none(), "it may have been away for a moment");
    assert!(look_on(db.pool(), &mut hand, 0.4, 1).await.is_some());
}
