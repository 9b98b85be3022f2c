//! How jobs come in: alone, in a transaction, from SQL, in bulk, later, and once a key.

use std::time::Duration;

use chrono::Utc;
use engine::{
    Client, JobId, NewJob, StoreError,
    store::{
        kind,
        limit::{self, Change},
        pause::{self, Scope},
        queue,
    },
};
use serde_json::value::RawValue;
use sqlx::AssertSqlSafe;

use super::jobs::{Running, of, state_of, until_state};
use crate::support::{
    Database, clock,
    kinds::{Effect, NoOp, make_effect_table},
    ledger::count,
    wait,
};

#[tokio::test]
async fn a_job_enqueued_in_a_transaction_that_rolls_back_never_was() {
    let db = Database::new().await;
    let mut tx = db.pool().begin().await.expect("a transaction");
    let enqueued = engine::enqueue_in(&mut tx, &of(&NoOp { n: 1 })).await.expect("enqueued");
    tx.rollback().await.expect("rolled back");
    let found: i64 =
        sqlx::query_scalar("select count(*) from engine.job where id = $1").bind(enqueued.id).fetch_one(db.pool()).await.expect("a count");
    assert_eq!(found, 0);
}

#[tokio::test]
async fn sql_enqueues_from_any_language() {
    let db = Database::new().await;
    let (id, created): (JobId, bool) =
        sqlx::query_as("select id, created from engine.enqueue('test.no_op', '{\"n\": 1}', priority => 0::smallint)")
            .fetch_one(db.pool())
            .await
            .expect("enqueued");
    assert!(created);
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "completed").await;
    worker.stop().await;
}

#[tokio::test]
async fn sql_takes_the_queue_and_the_priority_of_the_kind_unless_it_names_others() {
    let db = Database::new().await;
    let pool = db.pool();
    let lane = async |more: &str| -> (String, i16) {
        let id: i64 = sqlx::query_scalar(AssertSqlSafe(format!("select id from engine.enqueue('test.no_op', '{{\"n\": 1}}'{more})")))
            .fetch_one(pool)
            .await
            .expect("enqueued");
        sqlx::query_as("select l.queue, l.priority from engine.job j join engine.lane l on l.id = j.lane_id where j.id = $1")
            .bind(id)
            .fetch_one(pool)
            .await
            .expect("its lane")
    };
    assert_eq!(lane("").await, ("default".into(), 5), "no worker has told of the kind yet");
    let worker = Running::start(pool, 1);
    wait::until("its kinds are known", Duration::from_secs(10), async || count(pool, "select count(*) from engine.kind").await > 3).await;
    worker.stop().await;
    kind::declare(&mut pool.acquire().await.expect("a connection"), &[("elsewhere", "test.no_op", 2)]).await.expect("said");
    assert_eq!(lane("").await, ("elsewhere".into(), 2), "who said it last");
    assert_eq!(lane(", priority => 7::smallint").await, ("elsewhere".into(), 7));
    assert_eq!(lane(", queue => 'here'").await, ("here".into(), 2));
}

#[tokio::test]
async fn priority_zero_runs_first() {
    let db = Database::new().await;
    make_effect_table(db.pool()).await;
    let client = Client::new(db.pool().clone());
    for priority in [9, 5, 0] {
        client.enqueue(&of(&Effect { ms: 0 }).priority(priority)).await.expect("enqueued");
    }
    let worker = Running::start(db.pool(), 1);
    wait::until("three attempts", Duration::from_secs(10), || async {
        sqlx::query_scalar::<_, i64>("select count(*) from engine.attempt").fetch_one(db.pool()).await.expect("a count") == 3
    })
    .await;
    worker.stop().await;
    // Each has committed its end by itself, before the next began.
    let order: Vec<i16> = sqlx::query_scalar(
        "select l.priority from engine.attempt a join engine.job j on j.id = a.job_id join engine.lane l on l.id = j.lane_id
         order by a.finished_at",
    )
    .fetch_all(db.pool())
    .await
    .expect("priorities");
    assert_eq!(order, [0, 5, 9]);
}

#[tokio::test]
async fn a_job_scheduled_for_later_waits_for_its_time() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let later = client.enqueue(&of(&NoOp { n: 1 }).run_at(Utc::now() + Duration::from_hours(1))).await.expect("enqueued").id;
    let soon = client.enqueue(&of(&NoOp { n: 2 }).run_at(Utc::now() + Duration::from_millis(300))).await.expect("enqueued").id;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), soon, "completed").await;
    worker.stop().await;
    assert_eq!(state_of(db.pool(), later).await, "scheduled");
    let early: bool = sqlx::query_scalar("select a.started_at < j.created_at + interval '250 milliseconds' from engine.attempt a join engine.job j on j.id = a.job_id where j.id = $1")
        .bind(soon)
        .fetch_one(db.pool())
        .await
        .expect("one attempt");
    assert!(!early);
}

#[tokio::test]
async fn a_delay_counts_from_the_enqueue_by_the_databases_clock() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    clock::step(db.pool(), 3600.0).await;
    let client = Client::new(db.pool().clone());
    let (later, now) = (of(&NoOp { n: 1 }).delay(Duration::from_mins(10)), of(&NoOp { n: 2 }));
    client.enqueue(&later).await.expect("enqueued");
    client.enqueue_many(&[later.clone(), now.clone()]).await.expect("enqueued");
    client.enqueue_copy(&[later.clone(), now]).await.expect("enqueued");
    let in_ten_minutes = "select count(*) from engine.scheduled
        where run_at between engine.now() + interval '5 minutes' and engine.now() + interval '10 minutes'";
    assert_eq!(count(db.pool(), in_ten_minutes).await, 3);
    assert_eq!(count(db.pool(), "select count(*) from engine.ready").await, 2);

    client.enqueue(&later.clone().run_at(Utc::now())).await.expect("enqueued");
    assert_eq!(count(db.pool(), "select count(*) from engine.ready").await, 3, "the last that is said counts");
    let refused = client.enqueue(&later.delay(Duration::MAX)).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn bulk_enqueue_answers_in_order_and_leaves_out_taken_keys() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    client.enqueue(&of(&NoOp { n: 0 }).unique_key("taken")).await.expect("enqueued");
    let jobs = [
        of(&NoOp { n: 1 }),
        of(&NoOp { n: 2 }).unique_key("taken"),
        of(&NoOp { n: 3 }).unique_key("free"),
        of(&NoOp { n: 4 }).unique_key("free"),
    ];
    let ids = client.enqueue_many(&jobs).await.expect("enqueued");
    assert_eq!(ids.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, false]);
    let refused = client.enqueue_many(&[of(&NoOp { n: 5 }).idempotency_key("p", "k")]).await;
    assert!(matches!(refused, Err(StoreError::KeyedInBulk(0))));
}

#[tokio::test]
async fn one_live_job_a_unique_key() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let first = client.enqueue(&of(&NoOp { n: 1 }).unique_key("k")).await.expect("enqueued");
    let second = client.enqueue(&of(&NoOp { n: 2 }).unique_key("k")).await.expect("answered");
    assert_eq!((second.id, second.created), (first.id, false));
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), first.id, "completed").await;
    worker.stop().await;
    assert!(client.enqueue(&of(&NoOp { n: 3 }).unique_key("k")).await.expect("enqueued").created, "the key is free again");
}

#[tokio::test]
async fn racing_enqueues_with_one_unique_key_make_one_job() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    for round in 0..20 {
        let racers: Vec<_> = (0..8)
            .map(|n| {
                let (client, pool) = (client.clone(), db.pool().clone());
                tokio::spawn(async move {
                    let job = of(&NoOp { n }).unique_key(format!("round {round}"));
                    if n % 4 == 3 {
                        let mut tx = pool.begin().await.expect("a transaction");
                        engine::enqueue_in(&mut tx, &job).await.expect("answered");
                        tx.rollback().await.expect("rolled back");
                        None
                    } else {
                        Some(client.enqueue(&job).await.expect("answered"))
                    }
                })
            })
            .collect();
        let mut answers = Vec::new();
        for racer in racers {
            answers.extend(racer.await.expect("no racer panics"));
        }
        let live: Vec<JobId> = sqlx::query_scalar("select id from engine.job where unique_key = $1")
            .bind(format!("round {round}"))
            .fetch_all(db.pool())
            .await
            .expect("ids");
        assert_eq!(live.len(), 1, "round {round}");
        assert_eq!(answers.iter().filter(|answer| answer.created).count(), 1);
        assert!(answers.iter().all(|answer| answer.id == live[0]), "whoever got an answer has a job");
    }
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_at_every_door() {
    let db = Database::new().await;
    let (pool, client) = (db.pool(), Client::new(db.pool().clone()));
    let plain = || of(&NoOp { n: 1 });
    let long = "x".repeat(501);
    for bad in ["", " ", "a\nb", " a", "a\u{a0}", "\u{7f}", "a\u{85}b", "a\u{2028}b", &long] {
        let of_kind = NewJob::raw(bad, RawValue::from_string("{}".into()).expect("JSON"));
        let one = plain().limit_key("ok");
        let refusals = [
            client.enqueue(&plain().queue(bad)).await.map(drop),
            client.enqueue(&of_kind).await.map(drop),
            client.enqueue(&plain().limit_key(bad)).await.map(drop),
            client.enqueue_many(&[one.clone(), plain().queue(bad)]).await.map(drop),
            client.enqueue_many(&[one.clone(), plain().limit_key(bad)]).await.map(drop),
            client.enqueue_copy(&[plain(), of_kind.clone()]).await.map(drop),
            queue::set_limit(pool, bad, Some(1)).await,
            limit::set(pool, Scope::Key, bad, Change { cap: Some(Some(1)), ..Change::default() }, "a test").await,
            pause::begin(pool, Scope::Kind, bad, pause::Window::default(), "a test", None).await.map(drop),
        ];
        for (door, refused) in refusals.into_iter().enumerate() {
            let Err(StoreError::Refused(why)) = refused else { panic!("door {door} takes {bad:?}: {refused:?}") };
            assert!(why.ends_with("a name has 1 to 500 bytes, no control character, and no blank at either end"), "{why}");
        }
        let by_sql = sqlx::query("select from engine.enqueue('test.no_op', '{}', $1)").bind(bad).execute(pool).await.expect_err("refused");
        assert_eq!(by_sql.as_database_error().and_then(|error| error.code().map(String::from)).as_deref(), Some("22023"));
    }
    let made = "select (select count(*) from engine.job) + (select count(*) from engine.lane) + (select count(*) from engine.queue)
                     + (select count(*) from engine.limit_setting) + (select count(*) from engine.pause)";
    assert_eq!(count(pool, made).await, 0);
    for good in ["a", "shop:42", "Ärger, mit Blanks", &long[..500]] {
        client.enqueue_many(&[plain().queue(good), plain().limit_key(good)]).await.expect(good);
    }
    sqlx::query("insert into engine.lane (queue, kind, priority) values (' old ', 'test.no_op', 5)")
        .execute(pool)
        .await
        .expect("of before");
    client.enqueue(&plain().queue(" old ")).await.expect("what is there already stays usable");
}

#[tokio::test]
async fn a_number_that_is_none_is_refused_at_every_door_and_the_callers_transaction_goes_on() {
    let db = Database::new().await;
    let mut tx = db.pool().begin().await.expect("a transaction");
    let good = of(&NoOp { n: 1 });
    for bad in [good.clone().priority(10), good.clone().priority(-1), good.clone().max_attempts(0)] {
        let pair = [good.clone(), bad.clone()];
        let refusals = [
            engine::enqueue_in(&mut tx, &bad).await.map(drop),
            engine::enqueue_many_in(&mut tx, &pair).await.map(drop),
            engine::enqueue_copy_in(&mut tx, &pair).await.map(drop),
            engine::enqueue_batch_in(&mut tx, &pair, &good).await.map(drop),
            engine::enqueue_batch_in(&mut tx, &pair[..1], &bad).await.map(drop),
        ];
        for (door, refused) in refusals.into_iter().enumerate() {
            assert!(matches!(&refused, Err(StoreError::Refused(why)) if why.contains("a number from")), "door {door}: {refused:?}");
        }
    }
    engine::enqueue_in(&mut tx, &good).await.expect("the transaction is sound");
    tx.commit().await.expect("committed");
    assert_eq!(count(db.pool(), "select count(*) from engine.job").await, 1);
}
