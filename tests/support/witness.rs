//! Kinds of job that leave word of what they did, past all fences: for tests that ask how often a handler ran.

use std::time::Duration;

use engine::{Failure, Job, JobResult, NewJob, Outcome, Run, Tx};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection, PgPool};

use super::{kinds::NoOp, wait};

/// Writes down that it starts, and takes its time.
#[derive(Serialize, Deserialize)]
pub struct Tally {
    pub ms: u64,
}

impl Job for Tally {
    const KIND: &'static str = "test.tally";

    async fn run(&self, run: &mut Run) -> JobResult {
        note(run, "started").await?;
        tokio::time::sleep(Duration::from_millis(self.ms)).await;
        Ok(Outcome::done())
    }
}

/// Starts, takes its time, and then writes in one of three ways, even when it is told to stop meanwhile:
/// a handler that cannot be stopped, as one with blocking code is.
#[derive(Serialize, Deserialize)]
pub struct Stubborn {
    pub ms: u64,
    pub way: Way,
}

/// How a [`Stubborn`] job writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// An effect and its completion in a transaction that it begins late.
    Effect,
    /// An effect and its completion in a transaction that it began early.
    HeldEffect,
    /// A child job, in a transaction that it begins late.
    Child,
    /// How far it is, and a line of its log.
    Progress,
}

impl Job for Stubborn {
    const KIND: &'static str = "test.stubborn";

    async fn run(&self, run: &mut Run) -> JobResult {
        let held = if self.way == Way::HeldEffect { Some(run.begin().await?) } else { None };
        note(run, "started").await?;
        tokio::time::sleep(Duration::from_millis(self.ms)).await;
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let answer = self.write(run, held).await;
                let word = answer.as_ref().map_or_else(|failure| format!("refused: {failure}"), |_| "wrote".into());
                note(run, &word).await?;
                answer
            })
        })
    }
}

impl Stubborn {
    async fn write(&self, run: &Run, held: Option<Tx>) -> JobResult {
        if self.way == Way::Progress {
            run.progress(1, None, None).await?;
            run.log("late").await?;
        }
        let mut tx = match held {
            Some(tx) => tx,
            None => run.begin().await?,
        };
        if self.way == Way::Child {
            let child = NewJob::of(&NoOp { n: run.job_id().0 })?;
            run.enqueue_in(&mut tx, &child).await?;
        } else {
            sqlx::query("insert into test_effect (job_id, attempt) values ($1, $2)")
                .bind(run.job_id())
                .bind(run.attempt())
                .execute(&mut *tx)
                .await?;
        }
        run.complete_in(tx, serde_json::Value::Null).await
    }
}

/// Writes to `test_note` on a connection that neither the worker nor a rescuer knows of.
pub async fn note(run: &Run, what: &str) -> Result<(), Failure> {
    let options = (*run.pool().connect_options()).clone().application_name("test note");
    let mut connection = PgConnection::connect_with(&options).await?;
    sqlx::query("insert into test_note (job_id, attempt, worker_id, what) values ($1, $2, $3, $4)")
        .bind(run.job_id())
        .bind(run.attempt())
        .bind(run.worker_id())
        .bind(what)
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}

/// The table of notes.
pub async fn make_note_table(pool: &PgPool) {
    sqlx::query("create table test_note (job_id bigint not null, attempt integer not null, worker_id bigint not null, what text not null)")
        .execute(pool)
        .await
        .expect("a table can be created");
}

/// How many notes say `what`.
pub async fn notes(pool: &PgPool, what: &str) -> i64 {
    sqlx::query_scalar("select count(*) from test_note where what = $1").bind(what).fetch_one(pool).await.expect("notes can be counted")
}

/// How many notes of one worker begin with `what`.
pub async fn notes_of(pool: &PgPool, worker: i64, what: &str) -> i64 {
    sqlx::query_scalar("select count(*) from test_note where worker_id = $1 and starts_with(what, $2)")
        .bind(worker)
        .bind(what)
        .fetch_one(pool)
        .await
        .expect("notes can be counted")
}

/// Writes down when it starts and when it ends.
#[derive(Serialize, Deserialize)]
pub struct Span {
    pub key: String,
    pub ms: u64,
}

impl Job for Span {
    const KIND: &'static str = "test.span";

    async fn run(&self, run: &mut Run) -> JobResult {
        let span: i64 = sqlx::query_scalar("insert into test_span (job_id, worker_id, limit_key) values ($1, $2, $3) returning id")
            .bind(run.job_id())
            .bind(run.worker_id())
            .bind(&self.key)
            .fetch_one(run.pool())
            .await?;
        tokio::time::sleep(Duration::from_millis(self.ms)).await;
        sqlx::query("update test_span set ended_at = clock_timestamp() where id = $1").bind(span).execute(run.pool()).await?;
        Ok(Outcome::done())
    }
}

/// The tables of spans and of kills.
pub async fn make_span_table(pool: &PgPool) {
    sqlx::raw_sql(
        "create table test_span (id bigint generated always as identity primary key, job_id bigint not null, worker_id bigint not null,
             limit_key text not null, started_at timestamptz not null default clock_timestamp(), ended_at timestamptz);
         create table test_kill (pid bigint primary key, killed_at timestamptz not null)",
    )
    .execute(pool)
    .await
    .expect("tables can be created");
}

/// Waits until a hundred more spans have begun, or every job has.
pub async fn until_more_spans(pool: &PgPool) {
    let begun = || async { sqlx::query_scalar::<_, i64>("select count(*) from test_span").fetch_one(pool).await.expect("a count") };
    let before = begun().await;
    let left = || async { sqlx::query_scalar::<_, i64>("select count(*) from engine.place").fetch_one(pool).await.expect("a count") };
    wait::until_every(Duration::from_millis(50), "spans begin", Duration::from_mins(1), || async {
        begun().await >= before + 100 || left().await == 0
    })
    .await;
}
