//! Who looks at the leases of others, and what proves that one of them is dead.

use std::time::Duration;

use engine::store::worker;
use sqlx::PgPool;

use super::hand::{Hand, count};
use crate::support::{Database, clock, wait};

/// Whom a worker with a lease of two seconds finds dead when it looks at the others.
pub async fn look_out(hand: &mut Hand) -> Vec<i64> {
    worker::declare_dead(&mut hand.connection, hand.id, 2000).await.expect("looked")
}

/// Looks so many times, after a span of seconds each, or until somebody is found dead; returns after how many looks that was.
pub async fn look_on(pool: &PgPool, hand: &mut Hand, span: f64, times: usize) -> Option<usize> {
    for look in 1..=times {
        clock::step(pool, span).await;
        if !look_out(hand).await.is_empty() {
            return Some(look);
        }
    }
    None
}

/// Lets the lease of a worker, which has a lease again if it was dead, run out so many seconds from now.
async fn run_out_in(pool: &PgPool, worker: i64, seconds: f64) {
    sqlx::query("update engine.worker set dead_at = null, lease_until = engine.now() + make_interval(secs => $2) where id = $1")
        .bind(worker)
        .bind(seconds)
        .execute(pool)
        .await
        .expect("set");
}

/// Before it has been there for a lease nobody is dead.
async fn until_server_is_older_than(pool: &PgPool, seconds: i32) {
    let age = "select extract(epoch from clock_timestamp() - pg_postmaster_start_time())::bigint";
    wait::until("the server has been there for a lease", Duration::from_secs(20), || async { count(pool, age).await > i64::from(seconds) })
        .await;
}

/// A database with a clock of its own, a worker in it, and another that looks out for longer than is remembered.
async fn looked_at() -> (Database, i64, Hand) {
    let db = Database::new().await;
    until_server_is_older_than(db.pool(), 2).await;
    clock::own(db.pool()).await;
    let held = Hand::new(db.pool()).await.id;
    let mut hand = Hand::new(db.pool()).await;
    assert_eq!(look_on(db.pool(), &mut hand, 0.4, 10).await, None, "it lives");
    (db, held, hand)
}

#[tokio::test]
async fn the_dead_are_found_where_nobody_who_looks_lives_for_a_lease() {
    let (db, held, mut hand) = looked_at().await;
    run_out_in(db.pool(), held, 2.0).await;
    for _ in 0..2 {
        assert_eq!(look_on(db.pool(), &mut hand, 0.4, 2).await, None, "it has not run out");
        hand = Hand::new(db.pool()).await;
    }
    clock::step(db.pool(), 0.5).await;
    assert_eq!(look_out(&mut hand).await, [held], "it ran out while somebody looked all the time");
}

#[tokio::test]
async fn nobody_is_dead_of_a_lease_that_ran_out_while_nobody_looked() {
    let (db, held, mut hand) = looked_at().await;
    for away in [1.2, 60.0, 86_400.0] {
        // Renewed in time before that.
        run_out_in(db.pool(), held, 1.5).await;
        clock::step(db.pool(), away).await;
        assert!(look_out(&mut hand).await.is_empty(), "away for {away} s");
        let found = look_on(db.pool(), &mut hand, 0.4, 8).await;
        assert!(found.is_some_and(|looks| looks >= 4), "it may renew for as long as its lease had left, after {away} s: {found:?}");
        look_on(db.pool(), &mut hand, 0.4, 8).await;
    }
}

#[tokio::test]
async fn times_in_which_nobody_looked_add_up_when_one_follows_another() {
    let (db, held, mut hand) = looked_at().await;
    run_out_in(db.pool(), held, 1.5).await;
    for away in [60.0, 0.4, 4.0] {
        clock::step(db.pool(), away).await;
        assert!(look_out(&mut hand).await.is_empty(), "in the moment between it may not have renewed");
    }
    assert!(look_on(db.pool(), &mut hand, 0.4, 8).await.is_some_and(|looks| looks >= 4));
}

#[tokio::test]
async fn times_in_which_nobody_looked_do_not_add_up_where_everybody_could_renew_between_them() {
    let (db, held, mut hand) = looked_at().await;
    run_out_in(db.pool(), held, 5.0).await;
    clock::step(db.pool(), 1.1).await;
    assert_eq!(look_on(db.pool(), &mut hand, 0.2, 9).await, None, "it lives");
    run_out_in(db.pool(), held, 0.3).await;
    clock::step(db.pool(), 1.1).await;
    assert!(look_out(&mut hand).await.is_empty(), "it may just be late");
    let found = look_on(db.pool(), &mut hand, 0.2, 20).await;
    assert!(found.is_some_and(|looks| looks <= 2), "it has had as long as nobody looked for the second time: {found:?}");
}

#[tokio::test]
async fn the_dead_are_found_where_looks_are_far_apart() {
    let (db, held, mut hand) = looked_at().await;
    assert_eq!(look_on(db.pool(), &mut hand, 1.3, 4).await, None);
    run_out_in(db.pool(), held, 1.2).await;
    assert_eq!(look_on(db.pool(), &mut hand, 1.3, 3).await, Some(2), "it may just be late, as all here are");
}

#[tokio::test]
async fn who_has_another_lease_is_judged_by_the_longer_of_both() {
    let (db, held, mut hand) = looked_at().await;
    let lease = async |ms: i32| {
        let told = "update engine.worker set info = jsonb_build_object('lease_ms', $2) where id = $1";
        sqlx::query(told).bind(held).bind(ms).execute(db.pool()).await.expect("told");
    };
    lease(200).await;
    run_out_in(db.pool(), held, 0.2).await;
    assert_eq!(look_on(db.pool(), &mut hand, 0.4, 3).await, Some(2), "it may have been away for a moment");

    lease(4000).await;
    run_out_in(db.pool(), held, 3.8).await;
    until_server_is_older_than(db.pool(), 4).await;
    clock::step(db.pool(), 20.0).await;
    let found = look_on(db.pool(), &mut hand, 0.4, 30).await;
    assert!(found.is_some_and(|looks| looks >= 10), "it may renew for as long as its lease had left: {found:?}");
}
