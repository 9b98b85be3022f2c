//! Kinds of job made for testing, which the product does not have.

use std::time::Duration;

use engine::{Category, Failure, Job, JobResult, Kinds, Outcome, Run, Together};
use serde::{Deserialize, Serialize};

use super::{
    flows::Flow,
    late::Late,
    outside_call::Call,
    witness::{Span, Stubborn, Tally},
};

/// All of them.
pub fn kinds() -> Kinds {
    Kinds::new()
        .with::<NoOp>()
        .with::<Tick>()
        .with::<Sleep>()
        .with::<Block>()
        .with::<Fail>()
        .with::<Panic>()
        .with::<Talk>()
        .with_together::<Crowd>()
        .with::<Snooze>()
        .with::<Kill>()
        .with::<Effect>()
        .with::<HangInCommit>()
        .with::<Tally>()
        .with::<Stubborn>()
        .with::<Span>()
        .with::<Flow>()
        .with::<Late>()
        .with::<Call>()
}

/// Does nothing.
#[derive(Serialize, Deserialize)]
pub struct NoOp {
    pub n: i64,
}

impl Job for NoOp {
    const KIND: &'static str = "test.no_op";

    async fn run(&self, _: &mut Run) -> JobResult {
        Ok(Outcome::Done(serde_json::json!({ "n": self.n })))
    }
}

/// Does nothing, again and again.
#[derive(Default, Serialize, Deserialize)]
pub struct Tick {}

impl Job for Tick {
    const KIND: &'static str = "test.tick";

    async fn run(&self, _: &mut Run) -> JobResult {
        Ok(Outcome::done())
    }
}

/// Takes its time.
#[derive(Serialize, Deserialize)]
pub struct Sleep {
    pub ms: u64,
}

impl Job for Sleep {
    const KIND: &'static str = "test.sleep";

    async fn run(&self, _: &mut Run) -> JobResult {
        tokio::time::sleep(Duration::from_millis(self.ms)).await;
        Ok(Outcome::done())
    }
}

/// Says how far it is and what it does.
#[derive(Serialize, Deserialize)]
pub struct Talk {
    pub lines: u64,
}

impl Job for Talk {
    const KIND: &'static str = "test.talk";

    async fn run(&self, run: &mut Run) -> JobResult {
        for line in 1..=self.lines {
            run.log(&format!("line {line}")).await?;
        }
        run.progress(self.lines, self.lines + 1, Some("nearly there")).await?;
        Ok(Outcome::done())
    }
}

/// Works together with its like; one of `n` below 0 fails, and one of 1000 takes all down.
#[derive(Serialize, Deserialize)]
pub struct Crowd {
    pub n: i64,
}

impl Job for Crowd {
    const KIND: &'static str = "test.crowd";

    async fn run(&self, _: &mut Run) -> JobResult {
        Err(Failure::bug("its jobs are run together"))
    }
}

impl Together for Crowd {
    const AT_MOST: usize = 10;
    const LINGER: Duration = Duration::from_millis(100);

    async fn run_together(jobs: &mut [(Self, Run)]) -> Vec<JobResult> {
        let size = jobs.len();
        assert!(jobs.iter().all(|(job, _)| job.n != 1000), "one too many");
        let answer = |job: &Self| match job.n {
            0.. => Ok(Outcome::Done(serde_json::json!({ "n": job.n, "size": size }))),
            _ => Err(Failure::validation("below zero")),
        };
        jobs.iter().map(|(job, _)| answer(job)).collect()
    }
}

/// Blocks a thread of the runtime in its first run.
#[derive(Serialize, Deserialize)]
pub struct Block {
    pub ms: u64,
}

impl Job for Block {
    const KIND: &'static str = "test.block";

    async fn run(&self, run: &mut Run) -> JobResult {
        if run.attempt() == 1 {
            std::thread::sleep(Duration::from_millis(self.ms));
        }
        Ok(Outcome::done())
    }
}

/// Fails its first `times` runs with a category.
#[derive(Serialize, Deserialize)]
pub struct Fail {
    pub category: String,
    pub times: i32,
}

impl Job for Fail {
    const KIND: &'static str = "test.fail";

    async fn run(&self, run: &mut Run) -> JobResult {
        if run.attempt() > self.times {
            return Ok(Outcome::done());
        }
        let category = match self.category.as_str() {
            "validation" => Category::Validation,
            "conflict" => Category::Conflict,
            "network" => Category::Network,
            _ => Category::Unknown,
        };
        Err(Failure::new(category, format!("failed on purpose, run {}", run.attempt())))
    }
}

/// Panics.
#[derive(Serialize, Deserialize)]
pub struct Panic {}

impl Job for Panic {
    const KIND: &'static str = "test.panic";

    async fn run(&self, _: &mut Run) -> JobResult {
        panic!("on purpose");
    }
}

/// Asks for more time, `times` times.
#[derive(Serialize, Deserialize)]
pub struct Snooze {
    pub times: i32,
}

impl Job for Snooze {
    const KIND: &'static str = "test.snooze";

    async fn run(&self, run: &mut Run) -> JobResult {
        Ok(if run.attempt() <= self.times { Outcome::Snooze(Duration::from_millis(1)) } else { Outcome::done() })
    }
}

/// Kills its worker process, or spares it.
#[derive(Serialize, Deserialize)]
pub struct Kill {
    pub how: String,
}

impl Job for Kill {
    const KIND: &'static str = "test.kill";

    async fn run(&self, _: &mut Run) -> JobResult {
        match self.how.as_str() {
            "spare" => Ok(Outcome::done()),
            "abort" => std::process::abort(),
            "stack" => Ok(Outcome::Done(serde_json::json!(dig(0)))),
            "memory" => Ok(Outcome::Done(serde_json::json!(devour()))),
            how => Err(Failure::validation(format!("there is no way to die called {how}"))),
        }
    }
}

#[expect(unconditional_recursion, reason = "it is here to overflow the stack")]
fn dig(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 512]);
    dig(here[0] + 1) + here[511]
}

/// Allocates until the process's address space, which the test limits, is used up.
fn devour() -> usize {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        held.push(std::hint::black_box(vec![1; 64 << 20]));
        if held.len() > 1 << 20 {
            return held.len();
        }
    }
}

/// Writes one row per commit into `test_effect`, in the same transaction as its completion.
#[derive(Serialize, Deserialize)]
pub struct Effect {
    pub ms: u64,
}

impl Job for Effect {
    const KIND: &'static str = "test.effect";

    async fn run(&self, run: &mut Run) -> JobResult {
        tokio::time::sleep(Duration::from_millis(self.ms)).await;
        let mut tx = run.begin().await?;
        sqlx::query("insert into test_effect (job_id, attempt) values ($1, $2)")
            .bind(run.job_id())
            .bind(run.attempt())
            .execute(&mut *tx)
            .await?;
        run.complete_in(tx, serde_json::Value::Null).await
    }
}

/// Writes its attempt's row and then waits before the COMMIT, at its first run only.
#[derive(Serialize, Deserialize)]
pub struct HangInCommit {}

impl Job for HangInCommit {
    const KIND: &'static str = "test.hang_in_commit";

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        if run.attempt() == 1 {
            engine::store::attempt::complete_one(&mut tx, run.worker_id(), 0, (run.job_id(), 1), 0, &serde_json::Value::Null).await?;
            sqlx::query("insert into test_effect (job_id, attempt) values ($1, 1)").bind(run.job_id()).execute(run.pool()).await?;
            tokio::time::sleep(Duration::from_mins(2)).await;
            tx.commit().await?;
            return Ok(Outcome::done());
        }
        run.complete_in(tx, serde_json::Value::Null).await
    }
}

/// The table that the effects go to.
pub async fn make_effect_table(pool: &sqlx::PgPool) {
    sqlx::query(
        "create table test_effect (job_id bigint not null, attempt integer not null, at timestamptz not null default clock_timestamp())",
    )
    .execute(pool)
    .await
    .expect("a table can be created");
}
