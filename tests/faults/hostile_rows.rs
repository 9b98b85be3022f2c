//! Rows that SQL takes and this program cannot read: each dies alone, with a reason.

use std::time::Duration;

use engine::{Client, JobId, NewJob};

use crate::support::{Database, kinds::NoOp, ledger, process::WorkerOptions, wait};

/// Arguments for `test.no_op` that PostgreSQL's jsonb accepts and the kind's decoder refuses.
fn hostile() -> Vec<String> {
    let deep = format!("{{\"n\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let texts =
        [r#"{"n": 1e400}"#, r#"{"n": 9223372036854775808}"#, r#"{"n": 1.5}"#, r#"{"n": "seven"}"#, r#"{"m": 7}"#, r#""n""#, "null", "[[]]"];
    texts.into_iter().map(String::from).chain([deep]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_do_not_decode_die_as_validation_and_others_run_on() {
    let db = Database::new().await;
    let pool = db.pool();
    let client = Client::new(pool.clone());
    let mut bad = Vec::new();
    let good = vec![NewJob::of(&NoOp { n: 1 }).expect("arguments serialise"); 50];
    for args in hostile() {
        let id: JobId = sqlx::query_scalar("select id from engine.enqueue('test.no_op', $1::text::jsonb)")
            .bind(args)
            .fetch_one(pool)
            .await
            .expect("jsonb takes it");
        bad.push(id);
        client.enqueue_many(&good).await.expect("enqueued");
    }
    let unknown: JobId = sqlx::query_scalar("select id from engine.enqueue('test.nobody_knows', '{}')")
        .fetch_one(pool)
        .await
        .expect("any kind can be enqueued");

    let workers = WorkerOptions::new(db.url()).start_many(3);
    let ended = 51 * bad.len() as i64;
    let all = || async { ledger::count(pool, "select count(*) from engine.attempt").await >= ended };
    wait::until("everything known ends", Duration::from_secs(20), all).await;
    drop(workers);

    let letters: Vec<(JobId, String, i32, String)> =
        sqlx::query_as("select job_id, category, attempts, error_message from engine.dead_letter_queue order by job_id")
            .fetch_all(pool)
            .await
            .expect("letters");
    assert_eq!(letters.iter().map(|letter| letter.0).collect::<Vec<_>>(), bad, "each hostile row, and nothing else, is a dead letter");
    for (id, category, attempts, error) in letters {
        assert_eq!((category.as_str(), attempts), ("validation", 1), "job {id}: {error}");
        assert!(error.contains("do not decode as test.no_op"), "job {id} says why: {error}");
    }
    assert_eq!(ledger::outcome(pool, "completed").await, 50 * bad.len() as i64);
    let left: (String, i32) = sqlx::query_as("select state, attempt from engine.job_state where id = $1")
        .bind(unknown)
        .fetch_one(pool)
        .await
        .expect("the job is there");
    assert_eq!(left, ("ready".into(), 1), "what nobody knows is left alone");
    ledger::check(pool).await;
}

#[tokio::test]
async fn a_time_that_programs_cannot_read_is_refused_where_it_is_written() {
    let db = Database::new().await;
    for time in ["infinity", "-infinity", "294276-12-31", "0001-01-01 BC"] {
        for call in [
            "select engine.enqueue('test.no_op', '{\"n\": 1}', run_at => $1::timestamptz + interval '0')",
            "select engine.enqueue('test.no_op', '{\"n\": 1}', deadline => $1::timestamptz)",
            "insert into engine.worker (name, lease_until) values ('other', $1::timestamptz)",
        ] {
            // A time before now is now.
            if call.contains("run_at") && (time.starts_with('-') || time.ends_with("BC")) {
                continue;
            }
            let refused = sqlx::query(sqlx::AssertSqlSafe(call)).bind(time).execute(db.pool()).await.expect_err("it is refused");
            let refused = refused.as_database_error().expect("the database refuses");
            assert_eq!(refused.code().as_deref(), Some("23514"), "{call} at {time}: {refused}");
            assert!(refused.message().contains("_is_from_the_year_1_to_9999"), "{refused}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_which_halves_are_missing_stops_no_worker() {
    let db = Database::new().await;
    let pool = db.pool();
    // Of nobody, and of the first worker that begins.
    for worker in [-1, 1] {
        sqlx::query("insert into engine.claim (worker_id, ids, attempts) values ($1, array[7, null], array[null, 1]::integer[])")
            .bind(worker)
            .execute(pool)
            .await
            .expect("the table takes it");
    }
    let worker = WorkerOptions::new(db.url()).start();
    for round in 1..=3 {
        Client::new(pool.clone())
            .enqueue_many(&vec![NewJob::of(&NoOp { n: 1 }).expect("arguments serialise"); 20])
            .await
            .expect("enqueued");
        let all = || async { ledger::outcome(pool, "completed").await == 20 * round };
        wait::until("sound jobs end", Duration::from_secs(20), all).await;
    }
    let gone = || async { ledger::count(pool, "select count(*) from engine.claim where worker_id = -1").await == 0 };
    wait::until("the claim of nobody is closed", Duration::from_secs(20), gone).await;
    drop(worker);
}
