//! A kind of job that calls an outside system made of two tables: how it answers, and who called it.

use std::time::Duration;

use engine::{Category, Failure, Job, JobResult, Outcome, Run};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

/// The outside system.
pub const SYSTEM: &str = "test.system";

/// Calls the system, which takes so long to answer.
#[derive(Serialize, Deserialize)]
pub struct Call {
    pub ms: u64,
}

/// A workflow that calls the system and then waits for what never comes.
#[derive(Serialize, Deserialize)]
pub struct CallAndWait {}

impl Job for CallAndWait {
    const KIND: &'static str = "test.call_and_wait";
    const CALLS: Option<&'static str> = Some(SYSTEM);

    async fn run(&self, run: &mut Run) -> JobResult {
        let pool = run.pool().clone();
        run.step_outside("call", async move |_| {
            let category: Option<String> = sqlx::query_scalar("select category from test_system").fetch_one(&pool).await?;
            category.map_or(Ok(()), |category| Err(Failure::new(Category::of(&category), "the system failed on purpose")))
        })
        .await?;
        run.wait_event::<()>("never", "", None).await?;
        Ok(Outcome::done())
    }
}

/// Would call the system, if there were anything to call for: then it is done, or sleeps.
#[derive(Serialize, Deserialize)]
pub struct NoCall {
    pub snoozes: bool,
}

impl Job for NoCall {
    const KIND: &'static str = "test.no_call";
    const CALLS: Option<&'static str> = Some(SYSTEM);

    async fn run(&self, run: &mut Run) -> JobResult {
        if self.snoozes {
            return Ok(Outcome::Snooze(Duration::from_hours(1)));
        }
        run.called_nothing();
        Ok(Outcome::done())
    }
}

impl Job for Call {
    const KIND: &'static str = "test.call";
    const CALLS: Option<&'static str> = Some(SYSTEM);

    async fn run(&self, run: &mut Run) -> JobResult {
        let n: i64 =
            sqlx::query_scalar("insert into test_call (job_id) values ($1) returning n").bind(run.job_id()).fetch_one(run.pool()).await?;
        tokio::time::sleep(Duration::from_millis(self.ms)).await;
        let (category, wait_ms): (Option<String>, Option<i64>) =
            sqlx::query_as("select category, wait_ms from test_system").fetch_one(run.pool()).await?;
        sqlx::query("update test_call set category = $2, ended_at = clock_timestamp() where n = $1")
            .bind(n)
            .bind(&category)
            .execute(run.pool())
            .await?;
        let Some(category) = category else { return Ok(Outcome::done()) };
        let failure = Failure::new(Category::of(&category), "the system failed on purpose");
        Err(wait_ms.map_or(failure.clone(), |ms| failure.retry_after(Duration::from_millis(ms.max(0) as u64))))
    }
}

/// Makes the system, which answers, and lets failures be tried again at once and for ever.
pub async fn make_system(pool: &PgPool) {
    for statement in [
        "create table test_call (n bigint generated always as identity, job_id bigint not null, category text,
                                 started_at timestamptz not null default clock_timestamp(), ended_at timestamptz)",
        "create table test_system (category text, wait_ms bigint)",
        "insert into test_system values (null, null)",
        "update engine.retry_config set backoff_seconds = '{0}', max_attempts = 1000, alert_on_attempt = null, escalate_on_attempt = null",
    ] {
        sqlx::query(statement).execute(pool).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// From now on it fails in this category, or answers.
pub async fn answer(pool: &PgPool, category: Option<&str>, wait_ms: Option<i64>) {
    sqlx::query("update test_system set category = $1, wait_ms = $2").bind(category).bind(wait_ms).execute(pool).await.expect("set");
}
