//! A connection that is cut around an enqueue: the caller cannot know what happened, and asks again with the same key.

use std::time::Duration;

use engine::{Client, NewJob, StoreError};
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::support::{
    Database, database,
    kinds::NoOp,
    ledger,
    process::WorkerOptions,
    proxy::{Cut, Proxy},
};

async fn through(proxy: &Proxy, db: &Database) -> Client {
    let url = proxy.url(db.name());
    let pool: PgPool = PgPoolOptions::new().max_connections(1).connect(&url).await.expect("the proxy forwards");
    Client::new(pool)
}

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
