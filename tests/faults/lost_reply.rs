//! Connections that are cut between a commit and the answer: whoever asked cannot know what happened. A producer asks
//! again with the same key; a worker finds out what it holds.

use std::time::Duration;

use engine::{Client, NewJob, StoreError};
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::support::{
    Database, database,
    kinds::{self, Effect, NoOp},
    ledger,
    process::WorkerOptions,
    proxy::{Cut, Proxy},
    witness,
};

async fn through(proxy: &Proxy, db: &Database) -> Client {
    let url = proxy.url(db.name());
    let pool: PgPool = PgPoolOptions::new().max_connections(1).connect(&url).await.expect("the proxy forwards");
    Client::new(pool)
}

/// Then the workers are left alone: how far they come between two losses depends on the machine.
const LOST_ANSWERS: usize = 200;

fn keyed(n: i64) -> NewJob {
    NewJob::of(&NoOp { n }).expect("arguments serialise").idempotency_key("a shop", format!("order {n}"))
}

/// Enqueues while the connection is cut.
async fn enqueue_cut(client: &Client, proxy: &Proxy, job: &NewJob, cut: Cut) {
    proxy.cut_next(cut);
    let answer = client.enqueue(job).await;
    assert!(matches!(answer, Err(StoreError::Database(_))), "the caller sees that something went wrong: {answer:?}");
    assert!(proxy.has_cut());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enqueue_whose_reply_was_lost_is_retried_to_the_same_job() {
    let db = Database::new().await;
    let pool = db.pool();
    let proxy = Proxy::start(database::cluster().socket_dir()).await;
    let (client, direct) = (through(&proxy, &db).await, Client::new(pool.clone()));
    let mut made = Vec::new();
    for n in 0..20 {
        enqueue_cut(&client, &proxy, &keyed(n), Cut::Reply).await;
        assert_eq!(ledger::count(pool, "select count(*) from engine.job").await, n + 1, "the server had committed it");
        let again = direct.enqueue(&keyed(n)).await.expect("enqueued");
        assert!(!again.created, "it was there");
        made.push(again.id);
    }
    let workers = WorkerOptions::new(db.url()).start_many(3);
    ledger::all_ended(pool, Duration::from_secs(20)).await;
    for (n, id) in made.iter().enumerate() {
        enqueue_cut(&client, &proxy, &keyed(n as i64), Cut::Reply).await;
        let again = client.enqueue(&keyed(n as i64)).await.expect("enqueued");
        assert_eq!((again.id, again.created), (*id, false), "the job ended, and its key still stands for it");
    }
    ledger::all_ended(pool, Duration::from_secs(20)).await;
    drop(workers);
    assert_eq!(ledger::count(pool, "select count(*) from engine.job").await, 20);
    assert_eq!(ledger::outcome(pool, "completed").await, 20);
    ledger::check(pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enqueue_that_never_reached_the_server_is_retried_to_one_job() {
    let db = Database::new().await;
    let pool = db.pool();
    let proxy = Proxy::start(database::cluster().socket_dir()).await;
    let client = through(&proxy, &db).await;
    for n in 0..20 {
        enqueue_cut(&client, &proxy, &keyed(n), Cut::Request).await;
        assert_eq!(ledger::count(pool, "select count(*) from engine.job").await, n, "nothing had happened");
        assert!(client.enqueue(&keyed(n)).await.expect("enqueued").created);
    }
    assert_eq!(ledger::count(pool, "select count(*) from engine.job").await, 20);
    ledger::check(pool).await;
}

/// What a claim leaves behind when the server commits it and its answer is lost.
async fn claim_behind_its_back(pool: &PgPool, worker: i64) {
    sqlx::query(
        "with picked as (delete from engine.ready returning job_id, attempt)
         insert into engine.claim (worker_id, ids, attempts) select $1, array_agg(job_id), array_agg(attempt) from picked",
    )
    .bind(worker)
    .execute(pool)
    .await
    .expect("a claim can be written");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_claim_whose_answer_was_lost_run_within_5_seconds() {
    let db = Database::new().await;
    let pool = db.pool();
    witness::make_note_table(pool).await;
    let workers = WorkerOptions::new(db.url()).start_many(3);
    let worker = ledger::worker_of(pool, workers[0].pid()).await;
    sqlx::query("insert into engine.queue (name, paused) values ('default', true)").execute(pool).await.expect("a queue can be paused");
    let job = NewJob::of(&NoOp { n: 1 }).expect("arguments serialise");
    Client::new(pool.clone()).enqueue_many(&vec![job; 10]).await.expect("enqueued");
    let claimed_at = ledger::now(pool).await;
    claim_behind_its_back(pool, worker).await;
    sqlx::query("update engine.queue set paused = false").execute(pool).await.expect("a queue can be resumed");

    ledger::all_ended(pool, Duration::from_secs(20)).await;
    let back = ledger::picked_up_after(pool, worker, claimed_at).await;
    assert_eq!((back.len(), ledger::outcome(pool, "lost").await), (10, 0), "the worker lives, and gives them back itself");
    let longest = ledger::spread("from a claim whose answer was lost to the next attempt", &back);
    assert!(longest <= Duration::from_secs(5), "a job was back only after {longest:?}");
    drop(workers);
    ledger::check(pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_whose_answers_get_lost_all_the_time_lose_no_job_and_double_no_effect() {
    let db = Database::new().await;
    let pool = db.pool();
    kinds::make_effect_table(pool).await;
    sqlx::query("update engine.retry_config set backoff_seconds = '{1}', max_attempts = 100")
        .execute(pool)
        .await
        .expect("a policy can be edited");
    let job = NewJob::of(&Effect { ms: 2 }).expect("arguments serialise");
    Client::new(pool.clone()).enqueue_many(&vec![job; 1000]).await.expect("enqueued");
    let proxy = Proxy::start(database::cluster().socket_dir()).await;
    let workers = WorkerOptions::new(proxy.url(db.name())).concurrency(8).start_many(3);
    // Who registers executes one statement a second: it would be the one that is cut, each time.
    for worker in &workers {
        ledger::worker_of(pool, worker.pid()).await;
    }
    let mut cuts = 0;
    let ended = async { ledger::all_ended(pool, Duration::from_mins(1)).await };
    tokio::pin!(ended);
    loop {
        tokio::select! {
            _ = &mut ended => break,
            () = tokio::time::sleep(Duration::from_millis(80)) => if cuts < LOST_ANSWERS && proxy.has_cut() {
                proxy.cut_next(Cut::Reply);
                cuts += 1;
            },
        }
    }
    drop(workers);
    assert!(cuts >= LOST_ANSWERS / 2, "only {cuts} answers were lost");
    println!("1000 jobs over {cuts} lost answers; attempts: {:?}", ledger::outcomes(pool).await);
    assert_eq!(ledger::outcome(pool, "completed").await, 1000);
    let effects = "select count(*) from (select from test_effect group by job_id having count(*) = 1) once";
    assert_eq!(ledger::count(pool, effects).await, 1000, "exactly one effect a job");
    ledger::check(pool).await;
}
