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

/// Says how many milliseconds the leases of a worker last.
async fn say_how_long(pool: &PgPool, worker: i64, ms: i32) {
    let said = "update engine.worker set info = jsonb_build_object('lease_ms', $2) where id = $1";
    sqlx::query(said).bind(worker).bind(ms).execute(pool).await.expect("said");
}

/// Before it has been there for a lease nobody is dead.
async fn until_server_is_older_than(pool: &PgPool, seconds: i32) {
    let age = "select extract(epoch from clock_timestamp() - pg_postmaster_start_time())::bigint";
    wait::until("the server has been there for a lease", Duration::from_secs(20), || async { count(pool, age).await > i64::from(seconds) })
        .await;
}

/// A database with a clock of its own that stands still, a worker in it, and another that looks out for longer than is remembered.
async fn looked_at() -> (Database, i64, Hand) {
    let db = Database::new().await;
    until_server_is_older_than(db.pool(), 2).await;
    clock::own_and_still(db.pool()).await;
    let held = Hand::new(db.pool()).await.id;
    say_how_long(db.pool(), held, 2000).await;
    let mut hand = Hand::new(db.pool()).await;
    // It renews nothing in these tests.
    sqlx::query("update engine.worker set lease_until = '9999-01-01' where id = $1").bind(hand.id).execute(db.pool()).await.expect("told");
    for _ in 0..10 {
        run_out_in(db.pool(), held, 2.0).await;
        assert_eq!(look_on(db.pool(), &mut hand, 0.4, 1).await, None, "it lives");
    }
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
async fn who_begins_or_renews_while_nobody_looks_shows_that_the_server_could_be_reached() {
    let (db, held, mut hand) = looked_at().await;
    run_out_in(db.pool(), held, 2.0).await;
    for _ in 0..3 {
        clock::step(db.pool(), 0.4).await;
        let begun = Hand::new(db.pool()).await.id;
        clock::step(db.pool(), 0.4).await;
        run_out_in(db.pool(), begun, 2.0).await;
    }
    assert_eq!(look_out(&mut hand).await, [held], "somebody was heard of all the time");
}

#[tokio::test]
async fn nobody_is_dead_of_a_lease_that_ran_out_in_a_silence() {
    let (db, held, mut hand) = looked_at().await;
    for away in [1.2, 60.0, 86_400.0] {
        // Renewed in time before that.
        run_out_in(db.pool(), held, 1.5).await;
        clock::step(db.pool(), away).await;
        assert!(look_out(&mut hand).await.is_empty(), "away for {away} s");
        assert_eq!(look_on(db.pool(), &mut hand, 0.4, 8).await, Some(3), "it may renew for half a lease, after {away} s");
    }
}

#[tokio::test]
async fn a_lease_stands_still_in_each_silence() {
    let (db, held, mut hand) = looked_at().await;
    run_out_in(db.pool(), held, 1.5).await;
    for away in [60.0, 0.4, 4.0] {
        clock::step(db.pool(), away).await;
        assert!(look_out(&mut hand).await.is_empty(), "in the moment between it may not have renewed");
    }
    assert_eq!(look_on(db.pool(), &mut hand, 0.4, 8).await, Some(1));
}

#[tokio::test]
async fn a_lease_goes_on_between_silences_however_many_there_are() {
    let (db, held, mut hand) = looked_at().await;
    run_out_in(db.pool(), held, 2.0).await;
    for _ in 0..2 {
        clock::step(db.pool(), 1.1).await;
        let at_once = !look_out(&mut hand).await.is_empty();
        if at_once || look_on(db.pool(), &mut hand, 0.25, 5).await.is_some() {
            return;
        }
    }
    panic!("it has had its lease and as long as both silences");
}

#[tokio::test]
async fn the_dead_are_found_where_looks_are_far_apart() {
    let (db, held, mut hand) = looked_at().await;
    run_out_in(db.pool(), held, 1.2).await;
    assert_eq!(look_on(db.pool(), &mut hand, 1.3, 4).await, Some(3), "it may just be late, as all here are");
}

#[tokio::test]
async fn the_dead_are_found_where_nobody_has_ever_looked() {
    let (db, held, mut hand) = looked_at().await;
    sqlx::query("delete from engine.watch").execute(db.pool()).await.expect("forgotten");
    run_out_in(db.pool(), held, -60.0).await;
    assert!(look_out(&mut hand).await.is_empty(), "who knows how long nobody was there");
    assert_eq!(look_on(db.pool(), &mut hand, 0.4, 8).await, Some(4), "it has had three quarters of a lease");
}

#[tokio::test]
async fn a_lease_of_before_the_clock_was_set_back_begins_anew() {
    let (db, held, mut hand) = looked_at().await;
    run_out_in(db.pool(), held, 2.0).await;
    clock::step(db.pool(), -3600.0).await;
    assert!(look_out(&mut hand).await.is_empty(), "whoever lives renews in time");
    assert_eq!(look_on(db.pool(), &mut hand, 0.4, 8).await, Some(6), "a lease later");
}

#[tokio::test]
async fn a_lease_is_judged_by_its_own_length_whoever_looks() {
    let (db, held, mut hand) = looked_at().await;
    say_how_long(db.pool(), held, 200).await;
    run_out_in(db.pool(), held, 0.2).await;
    assert_eq!(look_on(db.pool(), &mut hand, 0.4, 8).await, Some(5), "those who look are seldom heard of, for such a lease");

    say_how_long(db.pool(), held, 4000).await;
    run_out_in(db.pool(), held, 3.8).await;
    until_server_is_older_than(db.pool(), 4).await;
    clock::step(db.pool(), 20.0).await;
    assert_eq!(look_on(db.pool(), &mut hand, 0.4, 30).await, Some(9), "it may renew for more than half of its lease");
}

#[tokio::test]
async fn silences_that_are_short_for_a_long_lease_do_not_prolong_it() {
    let (db, held, mut hand) = looked_at().await;
    say_how_long(db.pool(), held, 4000).await;
    run_out_in(db.pool(), held, 4.0).await;
    until_server_is_older_than(db.pool(), 4).await;
    assert_eq!(look_on(db.pool(), &mut hand, 0.9, 8).await, Some(5));
}

#[tokio::test]
async fn who_has_a_long_lease_kills_nobody_with_a_short_one_after_a_silence() {
    let (db, held, hand) = looked_at().await;
    let mut slow = hand;
    until_server_is_older_than(db.pool(), 8).await;
    run_out_in(db.pool(), held, 1.7).await;
    clock::step(db.pool(), 10.0).await;
    let found = worker::declare_dead(&mut slow.connection, slow.id, 8000).await.expect("looked");
    assert!(found.is_empty(), "it may renew for half of its lease");
}

#[tokio::test]
async fn a_row_that_somebody_has_edited_keeps_nobody_from_being_found_dead() {
    let (db, held, mut hand) = looked_at().await;
    for lease in ["\"abc\"", "1.5", "{}", "true", "1e30", "-3e17", "300000000000000", "null"] {
        let edited = Hand::new(db.pool()).await.id;
        let edit = "update engine.worker set info = jsonb_build_object('lease_ms', $2::jsonb), lease_until = '0001-01-01' where id = $1";
        sqlx::query(edit).bind(edited).bind(lease).execute(db.pool()).await.expect("edited");
    }
    run_out_in(db.pool(), held, -60.0).await;
    clock::step(db.pool(), 0.4).await;
    assert!(look_out(&mut hand).await.contains(&held));
}
