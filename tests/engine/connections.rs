//! Connections that come back to their pool in a transaction, which sqlx forgets.

use std::{
    future::{Future, poll_fn},
    task::Poll,
};

use engine::{Client, Job, JobResult, Kinds, NewJob, Outcome, Run};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgPool, postgres::PgPoolOptions};

use crate::support::{Database, ledger::count, run_due_on};

/// More looks than a begin needs.
const LOOKS: usize = 8;

/// Drops a begin after its so manieth look for an answer, as a timeout does, unless it has begun before.
async fn begin_and_give_up(pool: &PgPool, looks: usize) {
    let (mut begin, mut looked) = (Box::pin(pool.begin()), 0);
    let given_up = poll_fn(|context| {
        looked += 1;
        let has_begun = begin.as_mut().poll(context).is_ready();
        if has_begun || looked == looks { Poll::Ready(()) } else { Poll::Pending }
    });
    given_up.await;
}

/// Writes a row as whoever takes the connection next.
async fn write(pool: &PgPool, n: usize) -> Result<(), sqlx::Error> {
    sqlx::query("insert into test_row values ($1)").bind(n as i64).execute(pool).await.map(drop)
}

/// A database with a table, and how many rows in it were committed.
async fn database() -> Database {
    let db = Database::new().await;
    sqlx::query("create table test_row (n bigint)").execute(db.pool()).await.expect("a table");
    db
}

async fn committed(db: &Database) -> i64 {
    count(db.pool(), "select count(*) from test_row").await
}

async fn one_connection(db: &Database) -> PgPool {
    engine::pool_options().max_connections(1).connect(&db.url()).await.expect("the database is there")
}

#[tokio::test]
async fn what_is_written_after_a_begin_that_was_dropped_is_committed() {
    let db = database().await;
    let pool = one_connection(&db).await;
    for looks in 1..=LOOKS {
        begin_and_give_up(&pool, looks).await;
        write(&pool, looks).await.expect("written");
        assert_eq!(committed(&db).await, looks as i64, "after {looks} looks");
    }
}

#[tokio::test]
async fn a_begin_that_fails_after_its_first_statement_leaves_the_pool_usable() {
    let db = database().await;
    let pool = one_connection(&db).await;
    let mut connection = pool.acquire().await.expect("a connection");
    connection.begin_with("begin; select 1 / 0").await.map(drop).expect_err("it cannot divide");
    drop(connection);
    write(&pool, 1).await.expect("written");
    assert_eq!(committed(&db).await, 1);
}

/// Gives up begins of its own and writes after each; tells how many of the rows others see.
#[derive(Serialize, Deserialize)]
struct GiveUp {}

impl Job for GiveUp {
    const KIND: &'static str = "test.give_up";

    async fn run(&self, run: &mut Run) -> JobResult {
        for looks in 1..=LOOKS {
            begin_and_give_up(run.pool(), looks).await;
            write(run.pool(), looks).await?;
        }
        let elsewhere = PgPoolOptions::new().connect_lazy_with((*run.pool().connect_options()).clone());
        Ok(Outcome::Done(sqlx::query_scalar::<_, i64>("select count(*) from test_row").fetch_one(&elsewhere).await?.into()))
    }
}

#[tokio::test]
async fn a_handlers_writes_are_committed_whatever_begins_it_gave_up_and_whatever_pool_its_worker_was_given() {
    let db = database().await;
    Client::new(db.pool().clone()).enqueue(&NewJob::of(&GiveUp {}).expect("arguments serialise")).await.expect("enqueued");
    let plain = PgPoolOptions::new().max_connections(1).connect(&db.url()).await.expect("the database is there");
    run_due_on(&plain, Kinds::new().with::<GiveUp>()).await;
    let seen: serde_json::Value = sqlx::query_scalar("select output from engine.attempt").fetch_one(db.pool()).await.expect("it ended");
    assert_eq!(seen, LOOKS);
}
