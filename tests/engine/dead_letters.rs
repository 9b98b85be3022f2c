//! What failed for good comes back once, and only while nobody else lives in its place.

use engine::{Client, StoreError, store::dead_letter};

use super::jobs::{Running, of, until_state};
use crate::support::{Database, kinds::Fail};

#[tokio::test]
async fn a_dead_letter_is_requeued_once_however_many_ask() {
    let db = Database::new().await;
    let id = Client::new(db.pool().clone())
        .enqueue(&of(&Fail { category: "validation".into(), times: 1 }).unique_key("k"))
        .await
        .expect("enqueued")
        .id;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "dead").await;
    worker.stop().await;
    let letter = dead_letter::list(db.pool(), &dead_letter::Filter::default(), 10).await.expect("letters").remove(0);
    let ask = |by: &'static str| {
        let pool = db.pool().clone();
        tokio::spawn(async move { dead_letter::requeue(&pool, letter.id, by, None).await })
    };
    let (one, two) = (ask("ann").await.expect("no panic"), ask("bob").await.expect("no panic"));
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "{one:?} {two:?}");
    let refused = one.err().or(two.err()).expect("one of them was refused");
    assert!(matches!(refused, StoreError::LetterResolved(..)), "{refused}");
    let letter = dead_letter::show(db.pool(), letter.id).await.expect("the letter");
    assert!(letter.resolved && letter.requeued_job_id.is_some());
}

#[tokio::test]
async fn a_requeue_is_refused_while_a_live_job_holds_the_key() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let id = client.enqueue(&of(&Fail { category: "validation".into(), times: 1 }).unique_key("k")).await.expect("enqueued").id;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "dead").await;
    worker.stop().await;
    let live = client.enqueue(&of(&Fail { category: "validation".into(), times: 1 }).unique_key("k")).await.expect("enqueued").id;
    let letter = dead_letter::list(db.pool(), &dead_letter::Filter::default(), 10).await.expect("letters").remove(0);
    let refused = dead_letter::requeue(db.pool(), letter.id, "ann", None).await;
    assert!(matches!(refused, Err(StoreError::LetterKeyHeld(_, holder)) if holder == live), "{refused:?}");
    assert!(!dead_letter::show(db.pool(), letter.id).await.expect("the letter").resolved, "the letter stays");
}

#[tokio::test]
async fn a_job_that_is_to_be_tried_once_is_tried_once_again() {
    let db = Database::new().await;
    let once = of(&Fail { category: "network".into(), times: 9 }).max_attempts(1);
    let first = Client::new(db.pool().clone()).enqueue(&once).await.expect("enqueued").id;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), first, "dead").await;
    let letter = dead_letter::list(db.pool(), &dead_letter::Filter::default(), 10).await.expect("letters").remove(0);
    let again = dead_letter::requeue(db.pool(), letter.id, "ann", None).await.expect("requeued");
    until_state(db.pool(), again, "dead").await;
    worker.stop().await;
    let tried: i64 = sqlx::query_scalar("select count(*) from engine.attempt").fetch_one(db.pool()).await.expect("counted");
    assert_eq!(tried, 2);
}
