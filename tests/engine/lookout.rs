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

/// Looks until a lease that has run out was watched for long enough, by a clock of the test's own.
pub async fn watched(pool: &PgPool, hand: &mut Hand) -> RunOut {
    clock::own(pool).await;
    look_on(pool, hand, 2.4).await.expect("nobody is found dead after 2.4 s")
}

/// Looks each 400 ms for some time; returns what that proves at last.
async fn look_on(pool: &PgPool, hand: &mut Hand, seconds: f64) -> Option<RunOut> {
    let mut proven = look_out(hand).await.pop();
    for _ in 0..(seconds / 0.4) as u32 {
        clock::step(pool, 0.4).await;
        proven = look_out(hand).await.pop();
    }
    proven
}

/// A database with a clock of its own, in which a lease has run out, and a worker that has looked once.
async fn one_overdue() -> (Database, Hand) {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    Hand::new(db.pool()).await;
    sqlx::query("update engine.worker set lease_until = engine.now() - interval '1 hour'").execute(db.pool()).await.expect("run out");
    let mut hand = Hand::new(db.pool()).await;
    assert!(look_out(&mut hand).await.is_empty(), "nobody has watched");
    (db, hand)
}

#[tokio::test]
async fn the_dead_are_found_where_nobody_who_looks_lives_for_a_lease() {
    let (db, mut hand) = one_overdue().await;
    for _ in 0..2 {
        assert!(look_on(db.pool(), &mut hand, 0.8).await.is_none(), "not for a whole lease");
        hand = Hand::new(db.pool()).await;
    }
    let seen = look_on(db.pool(), &mut hand, 0.8).await.expect("three watched it one after another");
    assert!(declare_dead(&mut hand, seen).await);
}

#[tokio::test]
async fn a_break_in_the_watch_proves_nothing_of_what_was_seen_before() {
    let (db, mut hand) = one_overdue().await;
    let breaks: [(&str, f64); 3] =
        [("nobody looks for more than half a lease", 1.2), ("the clock is set back", -7.0), ("the server starts anew", 0.0)];
    for (what, step) in breaks {
        let seen = look_on(db.pool(), &mut hand, 2.4).await.unwrap_or_else(|| panic!("before {what}"));
        clock::step(db.pool(), step).await;
        if step == 0.0 {
            let started = "update engine.lookout set server_started = server_started - interval '1 day'";
            sqlx::query(started).execute(db.pool()).await.expect("as of another server");
        }
        assert!(!declare_dead(&mut hand, seen).await, "{what}");
        assert!(look_on(db.pool(), &mut hand, 1.6).await.is_none(), "{what}");
        assert!(!declare_dead(&mut hand, seen).await, "{what}: it was seen before");
    }
    assert!(look_on(db.pool(), &mut hand, 0.8).await.is_some());
}

#[tokio::test]
async fn who_has_a_long_lease_is_watched_for_as_long() {
    let (db, mut hand) = one_overdue().await;
    sqlx::query("update engine.worker set info = '{\"lease_ms\": 8000}' where id <> $1")
        .bind(hand.id)
        .execute(db.pool())
        .await
        .expect("told");
    assert!(look_on(db.pool(), &mut hand, 7.6).await.is_none());
    assert!(look_on(db.pool(), &mut hand, 0.8).await.is_some());
}
