//! What failed for good comes back once, and only while nobody else lives in its place.

use std::collections::HashSet;

use engine::{
    Client, NewJob, StoreError, sqlstate,
    store::{
        clock,
        dead_letter::{self, Requeued},
        queue,
    },
};
use serde_json::{json, value::RawValue};
use uuid::Uuid;

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

/// So many jobs that died, each of a key of its own; all their letters, oldest first.
async fn died(db: &Database, jobs: usize) -> Vec<Uuid> {
    let described: Vec<_> = (0..jobs).map(fails).collect();
    let ids = Client::new(db.pool().clone()).enqueue_many(&described).await.expect("enqueued");
    let worker = Running::start(db.pool(), 1);
    for id in ids.into_iter().flatten() {
        until_state(db.pool(), id, "dead").await;
    }
    worker.stop().await;
    let now = clock::now(db.pool()).await.expect("the time");
    let (filter, page) = (dead_letter::Filter::default(), jobs as i64 * 2 / 3);
    let first = dead_letter::next_open(db.pool(), &filter, now, None, page).await.expect("letters");
    let rest = dead_letter::next_open(db.pool(), &filter, now, first.last().copied(), page).await.expect("letters");
    let before = first[0].created_at - chrono::TimeDelta::microseconds(1);
    assert_eq!(dead_letter::next_open(db.pool(), &filter, before, None, page).await.expect("letters"), [], "none came so early");
    let letters: Vec<_> = first.iter().chain(&rest).map(|letter| letter.id).collect();
    assert_eq!((letters.len(), letters.iter().collect::<HashSet<_>>().len()), (jobs, jobs));
    letters
}

fn fails(n: usize) -> NewJob {
    of(&Fail { category: "validation".into(), times: 1 }).unique_key(format!("k{n}"))
}

#[tokio::test]
async fn of_many_letters_those_that_must_stay_keep_no_other_and_two_operators_make_one_job_each() {
    let db = Database::new().await;
    let letters = died(&db, 40).await;
    let holder = Client::new(db.pool().clone()).enqueue(&fails(7)).await.expect("enqueued").id;
    let backwards: Vec<_> = letters.iter().rev().copied().collect();
    let (one, two) = tokio::join!(
        dead_letter::requeue_many(db.pool(), &letters, "ann", &[]),
        dead_letter::requeue_many(db.pool(), &backwards, "bob", &[]),
    );
    let (one, two) = (one.expect("answered"), two.expect("answered"));
    assert_eq!((one.len(), two.len()), (40, 40));
    let jobs: HashSet<_> = one.iter().chain(&two).filter_map(|answer| answer.job.as_ref().ok()).collect();
    assert_eq!(jobs.len(), 39, "one job a letter, but for the one whose key is held");
    let is_resolved = |of: &Requeued| matches!(&of.job, Err(StoreError::LetterResolved(id, how)) if *id == of.letter && how == "requeued");
    let stays: Vec<_> = one.iter().filter(|answer| answer.job.is_err() && !is_resolved(answer)).collect();
    let is_held = |answer: &Requeued| matches!(answer.job, Err(StoreError::LetterKeyHeld(id, by)) if (id, by) == (answer.letter, holder));
    assert!(stays.len() == 1 && is_held(stays[0]), "{stays:?}");
    let now = clock::now(db.pool()).await.expect("the time");
    let open = dead_letter::next_open(db.pool(), &dead_letter::Filter::default(), now, None, 50).await.expect("letters");
    assert_eq!(open.iter().map(|letter| letter.id).collect::<Vec<_>>(), [stays[0].letter]);
}

#[tokio::test]
async fn one_of_many_letters_stays_with_the_same_error_as_one_alone() {
    use StoreError::{ArgumentsTooLarge, LetterWithoutJob, NoSuchLetter, QueueFull};
    let db = Database::new().await;
    let letter = died(&db, 3).await[0];
    let large = serde_json::value::to_raw_value(&"x".repeat(2 << 20)).expect("a string is JSON");
    let foreign = "insert into raw_ops.dead_letter_queue (source, topic, payload) values ('courier', 'parcel', '{}') returning id";
    let foreign: Uuid = sqlx::query_scalar(foreign).fetch_one(db.pool()).await.expect("anybody may leave a dead letter");
    let mut stays = Vec::new();
    for (letter, args) in [(Uuid::nil(), None), (foreign, None), (letter, Some(large)), (letter, None)] {
        if stays.len() == 3 {
            Client::new(db.pool().clone()).enqueue(&fails(9)).await.expect("enqueued");
            queue::set_limit(db.pool(), "default", Some(1)).await.expect("set");
            sqlx::query("select engine.measure_figures(0)").execute(db.pool()).await.expect("measured");
        }
        let alone = dead_letter::requeue(db.pool(), letter, "ann", args.clone()).await.expect_err("it stays");
        let among = dead_letter::requeue_many(db.pool(), &[letter], "ann", &[args]).await.expect("answered").remove(0);
        assert_eq!(format!("{:?}", among.job.expect_err("it stays")), format!("{alone:?}"));
        stays.push(alone);
    }
    assert!(matches!(stays[..], [NoSuchLetter(_), LetterWithoutJob(_), ArgumentsTooLarge, QueueFull(_)]), "{stays:?}");
}

#[tokio::test]
async fn what_keeps_one_letter_back_is_what_the_program_takes_for_a_fault_of_a_value() {
    let db = Database::new().await;
    let text: String = sqlx::query_scalar("select prosrc from pg_proc where oid = 'engine.requeue_letters'::regproc")
        .fetch_one(db.pool())
        .await
        .expect("it is there");
    let (_, listed) = text.split_once("left(sqlstate, 2) not in (").expect("the list");
    let (listed, _) = listed.split_once(')').expect("its end");
    let classes: Vec<_> = listed.split(", ").map(|class| class.trim_matches('\'')).collect();
    // The refusals of the house's own functions are the one class besides.
    assert_eq!(classes, [&["RW"], &sqlstate::OF_VALUE[..]].concat());
}

#[tokio::test]
async fn each_of_many_letters_runs_again_with_the_arguments_that_are_given_for_it() {
    let db = Database::new().await;
    let letters = died(&db, 6).await;
    let given = |n: usize| RawValue::from_string(json!({ "category": "conflict", "times": n }).to_string()).expect("it is JSON");
    let args: Vec<_> = (0..6).map(|n| (n % 2 == 0).then(|| given(n))).collect();
    let short = dead_letter::requeue_many(db.pool(), &letters, "ann", &args[1..]).await;
    assert!(matches!(&short, Err(StoreError::Refused(why)) if why.contains("6 letters and arguments for 5")), "{short:?}");
    let many = vec![Uuid::nil(); dead_letter::MOST_AT_ONCE + 1];
    let long = dead_letter::requeue_many(db.pool(), &many, "ann", &[]).await;
    assert!(matches!(&long, Err(StoreError::Refused(why)) if why.contains("51 dead letters")), "{long:?}");

    for answer in dead_letter::requeue_many(db.pool(), &letters, "ann", &args).await.expect("answered") {
        let n = letters.iter().position(|letter| *letter == answer.letter).expect("a letter that was asked for");
        let job = answer.job.expect("requeued");
        let had: serde_json::Value =
            sqlx::query_scalar("select args from engine.job where id = $1").bind(job).fetch_one(db.pool()).await.expect("the job");
        let must = if n % 2 == 0 { json!({ "category": "conflict", "times": n }) } else { json!({ "category": "validation", "times": 1 }) };
        assert_eq!(had, must, "letter {n}");
        assert_eq!(dead_letter::show(db.pool(), answer.letter).await.expect("the letter").resolved_by.as_deref(), Some("ann"));
    }
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

#[tokio::test]
async fn open_letters_are_turned_over_newest_first_also_where_many_came_at_once() {
    let db = Database::new().await;
    let letters = died(&db, 7).await;
    let open = async |filter: &dead_letter::Filter, since, after, limit| {
        dead_letter::page(&mut db.pool().acquire().await.expect("a connection"), filter, since, after, limit).await.expect("letters")
    };
    let all = dead_letter::Filter::default();
    sqlx::query("update raw_ops.dead_letter_queue set created_at = $2 where id = any ($1)")
        .bind(&letters[2..6])
        .bind(clock::now(db.pool()).await.expect("the time"))
        .execute(db.pool())
        .await
        .expect("four came at one time");
    let (mut seen, mut after): (Vec<Uuid>, _) = (Vec::new(), None);
    loop {
        let page = open(&all, None, after, 3).await;
        seen.extend(page.iter().map(|letter| letter.id));
        let Some(last) = page.last() else { break };
        after = Some(dead_letter::Open { id: last.id, created_at: last.created_at });
    }
    assert_eq!((seen.len(), seen.iter().collect::<HashSet<_>>()), (7, letters.iter().collect()), "each once");
    assert_eq!(open(&all, None, None, 10).await.iter().map(|letter| letter.id).collect::<Vec<_>>(), seen, "in the order of one long page");

    let newest = open(&all, None, None, 1).await.remove(0);
    assert_eq!(open(&all, Some(newest.created_at), None, 10).await.len(), 4, "that moment is one of those since then");
    for (kind, category, found) in [("test.fail", "validation", 7), ("test.fail", "network", 0), ("test.no_op", "validation", 0)] {
        let filter = dead_letter::Filter { kind: Some(kind.into()), category: Some(category.into()), ..dead_letter::Filter::default() };
        assert_eq!(open(&filter, None, None, 10).await.len(), found, "{kind} {category}");
    }
    dead_letter::discard(db.pool(), newest.id, "ann", "a test").await.expect("discarded");
    assert_eq!(open(&all, None, None, 10).await.len(), 6);
}

#[tokio::test]
async fn the_letter_of_a_job_is_found_and_a_requeue_can_be_taken_back() {
    let db = Database::new().await;
    let letter = died(&db, 2).await[0];
    let mut tx = db.pool().begin().await.expect("a transaction");
    let job = dead_letter::show(db.pool(), letter).await.expect("the letter").job_id.expect("a job of this engine died");
    assert_eq!(dead_letter::of_job(&mut tx, job).await.expect("its letter").id, letter);
    let again = dead_letter::requeue_in(&mut tx, letter, "ann", None).await.expect("requeued");
    let none = dead_letter::of_job(&mut tx, again).await;
    assert!(matches!(none, Err(StoreError::NoLetterOfJob(of)) if of == again), "{none:?}");
    tx.rollback().await.expect("rolled back");
    assert!(!dead_letter::show(db.pool(), letter).await.expect("the letter").resolved);
}
