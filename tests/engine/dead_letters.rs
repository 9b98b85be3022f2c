//! What failed for good comes back once, and only while nobody else lives in its place.

use engine::{Client, StoreError, store::dead_letter};
use serde_json::value::RawValue;

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
async fn of_many_letters_those_that_must_stay_keep_no_other_and_two_operators_make_one_job_each() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let fails = |n: usize| of(&Fail { category: "validation".into(), times: 1 }).unique_key(format!("k{n}"));
    let ids = client.enqueue_many(&(0..40).map(fails).collect::<Vec<_>>()).await.expect("enqueued");
    let worker = Running::start(db.pool(), 1);
    for id in ids.into_iter().flatten() {
        until_state(db.pool(), id, "dead").await;
    }
    worker.stop().await;
    let holder = client.enqueue(&fails(7)).await.expect("enqueued").id;
    let filter = dead_letter::Filter::default();
    let first = dead_letter::open(db.pool(), &filter, None, 30).await.expect("letters");
    let rest = dead_letter::open(db.pool(), &filter, first.last().copied(), 30).await.expect("letters");
    let letters: Vec<_> = first.iter().chain(&rest).map(|letter| letter.id).collect();
    assert_eq!((letters.len(), letters.iter().collect::<std::collections::HashSet<_>>().len()), (40, 40));

    let backwards: Vec<_> = letters.iter().rev().copied().collect();
    let other = RawValue::from_string(r#"{"category": "conflict", "times": 0}"#.into()).expect("it is JSON");
    let args: Vec<_> = letters.iter().enumerate().map(|(n, _)| (n % 2 == 0).then(|| other.clone())).collect();
    let short = dead_letter::requeue_many(db.pool(), &letters, "ann", &args[1..]).await;
    assert!(short.is_err_and(|error| error.to_string().contains("40 letters and arguments for 39")));
    let (one, two) = tokio::join!(
        dead_letter::requeue_many(db.pool(), &letters, "ann", &args),
        dead_letter::requeue_many(db.pool(), &backwards, "bob", &[]),
    );
    let (one, two) = (one.expect("answered"), two.expect("answered"));
    assert_eq!((one.len(), two.len()), (40, 40));
    let jobs: std::collections::HashSet<_> = one.iter().chain(&two).filter_map(|answer| answer.job_id).collect();
    assert_eq!(jobs.len(), 39, "one job a letter, but for the one whose key is held");
    let stays: Vec<_> = one.iter().filter(|answer| answer.job_id.is_none() && !answer.was_resolved()).collect();
    assert!(stays.len() == 1 && stays[0].why.as_ref().is_some_and(|why| why.contains(&holder.to_string())), "{stays:?}");
    let open = dead_letter::open(db.pool(), &filter, None, 50).await.expect("letters");
    assert_eq!(open.iter().map(|letter| letter.id).collect::<Vec<_>>(), [stays[0].letter]);
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
