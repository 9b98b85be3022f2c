//! The kinds of job of the ordeal.

pub mod apart;
mod calling;
mod job;
mod others;
mod together;
pub mod versions;
mod waits;

use std::time::Duration;

use engine::{Category, Failure, Job, JobId, JobResult, Kinds, Outcome, Run, Tx};
use jobs::clients::Outside;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use apart::PlayApart;
pub use calling::{CALLED, PlayCalling};
pub use others::{Probe, TICK, Tick, probe_queue};
pub use together::PlayTogether;

use crate::{
    program::{Act, Blame, Death, Program, RATE, checksum, due},
    witness::{self, What},
};

/// Does something until the database lets it: a program's failures are its own, and faults of the run add none.
macro_rules! patiently {
    ($act:expr) => {
        loop {
            match $act.await {
                Err(failure) if passes(&failure) => tokio::time::sleep(Duration::from_millis(50)).await,
                answer => break answer,
            }
        }
    };
}
use patiently;

/// The queue of programs.
pub const QUEUE: &str = "ordeal";
/// The name of all events.
const EVENT: &str = "ordeal";
/// What the ordeal's workers of a version run: its own kinds and the product's.
pub fn kinds(version: u32, outside: Outside) -> Kinds {
    let plays = jobs::kinds().sharing(outside).with::<Play>().with_together::<PlayTogether>().with::<PlayApart>().with::<PlayCalling>();
    versions::of(plays.with::<Tick>().with::<Probe>(), version)
}

/// Plays a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Play {
    /// The program's name.
    pub key: String,
    /// What it does.
    pub acts: Vec<Act>,
    /// What it carries.
    #[serde(default)]
    pub chaff: Value,
    /// The act that a workflow which began anew goes on with.
    #[serde(default, skip_serializing_if = "is_the_first")]
    pub from: usize,
    /// What a batch says to the program that it calls back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
const fn is_the_first(number: &usize) -> bool {
    *number == 0
}

impl Job for Play {
    const KIND: &'static str = "ordeal.play";
    const QUEUE: &'static str = QUEUE;
    const TIMEOUT: Duration = Duration::from_hours(1);

    async fn run(&self, run: &mut Run) -> JobResult {
        self.attempt(run).await
    }
}

impl Play {
    async fn attempt(&self, run: &mut Run) -> JobResult {
        let counted = patiently!(counted(run))?;
        witness::say(run, &self.key, What::Started(counted));
        let answer = self.play(run, counted).await;
        let refused = answer.as_ref().is_err_and(is_refused);
        witness::say(run, &self.key, if refused { What::Refused } else { What::Ended });
        answer
    }

    async fn play(&self, run: &mut Run, counted: usize) -> JobResult {
        for (number, act) in due(&self.acts, counted).filter(|(number, _)| *number >= self.from) {
            match act {
                Act::Work(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
                Act::Block(ms) => std::thread::sleep(Duration::from_millis(*ms)),
                Act::Files(ms) => {
                    let held = use_up_files();
                    tokio::time::sleep(Duration::from_millis(*ms)).await;
                    drop(held);
                }
                Act::Outside => witness::say(run, &self.key, What::Outside(number)),
                Act::Inside => patiently!(self.inside(run, number))?,
                Act::Note => patiently!(note(run, number))?,
                Act::Child(child) => patiently!(enqueue_child(run, child))?,
                Act::Step => patiently!(self.step(run, number))?,
                Act::StepOutside => patiently!(self.step_outside(run, number))?,
                Act::Sleep(ms) => patiently!(run.sleep("sleep", Duration::from_millis(*ms)))?,
                Act::Undo(undo) => patiently!(run.compensate_with("undo", &undo.job()))?,
                Act::Patch => {
                    let new = patiently!(run.patch("patch"))?;
                    assert!(new, "a workflow that is as new as its code is to go the old way");
                }
                Act::Emit(key) => patiently!(run.emit(EVENT, key, key))?,
                Act::Await(key) => patiently!(self.receive(run, key))?,
                Act::Vain(ms) => patiently!(self.wait_in_vain(run, number, *ms))?,
                Act::JoinAny(children) => waits::join_as_they_end(run, children).await?,
                Act::First(child, key) => waits::take_what_comes(run, child, key).await?,
                Act::Continue => patiently!(run.continue_as(&Self { from: number + 1, ..self.clone() })).map(drop)?,
                Act::Join(children) => waits::join_all(run, children).await?,
                Act::Stumble => patiently!(stumble(run, number))?,
                Act::Fail(blame) => return Err(Failure::new(category(*blame), format!("act {number} fails on purpose"))),
                Act::Panic => panic!("act {number} panics on purpose"),
                Act::Snooze(ms) => return Ok(Outcome::Snooze(Duration::from_millis(*ms))),
                Act::Cancel => return Ok(Outcome::Cancel(format!("act {number} says so"))),
                Act::Hold => std::future::pending().await,
                Act::Die(Death::Abort) => std::process::abort(),
                Act::Die(Death::Stack) => return Ok(Outcome::Done(json!(dig(0)))),
                Act::Die(Death::Memory) => return Ok(Outcome::Done(json!(devour()))),
                Act::Finish => return Ok(Outcome::Done(self.output(counted))),
                Act::FinishInside(children) => return patiently!(self.finish(run, counted, number, children)),
            }
        }
        Err(Failure::bug("the program has no act for this stage: an attempt was counted that it does not know"))
    }

    fn output(&self, counted: usize) -> Value {
        json!({ "program": self.key, "counted": counted, "sum": checksum(&self.chaff) })
    }

    async fn step(&self, run: &mut Run, number: usize) -> JobResult<()> {
        let (job, attempt) = (run.job_id(), run.attempt());
        // Nothing keeps this row from being written twice but the engine.
        run.step("step", async |tx| self.put(tx, number, job, attempt, false).await).await
    }

    async fn step_outside(&self, run: &mut Run, number: usize) -> JobResult<()> {
        let said = witness::word(run, &self.key, What::Outside(number));
        run.step_outside("outside", async |_| {
            witness::add(&said);
            Ok(())
        })
        .await
    }

    async fn receive(&self, run: &mut Run, key: &str) -> JobResult<()> {
        match run.wait_event::<String>(EVENT, key, None).await? {
            Some(payload) if payload == key => Ok(()),
            // A wait that never gives up, and a payload that is the key: a program's own words could not say this.
            other => panic!("the event of {key} came with {other:?}"),
        }
    }

    async fn wait_in_vain(&self, run: &mut Run, number: usize, ms: u64) -> JobResult<()> {
        let never = format!("{}, never at {number}", self.key);
        let came = run.wait_event::<String>(EVENT, &never, Duration::from_millis(ms)).await?;
        assert!(came.is_none(), "an event came that nobody emitted: {came:?}");
        Ok(())
    }

    async fn inside(&self, run: &Run, number: usize) -> JobResult<()> {
        let mut tx = run.begin().await?;
        // The commit before may have succeeded and its answer been lost: the row has a key.
        self.write(&mut tx, run, number, false).await?;
        tx.commit().await
    }

    async fn finish(&self, run: &Run, counted: usize, number: usize, children: &[Program]) -> JobResult {
        let mut tx = run.begin().await?;
        self.write(&mut tx, run, number, true).await?;
        for child in children {
            run.enqueue_in(&mut tx, &child.job()).await?;
        }
        run.complete_in(tx, self.output(counted)).await
    }

    async fn write(&self, tx: &mut Tx, run: &Run, number: usize, last: bool) -> JobResult<()> {
        let known: bool = sqlx::query_scalar("select exists (select from ordeal.effect where program = $1 and act = $2 and job_id = $3)")
            .bind(&self.key)
            .bind(number as i32)
            .bind(run.job_id())
            .fetch_one(&mut **tx)
            .await?;
        if last || !known { self.put(tx, number, run.job_id(), run.attempt(), last).await } else { Ok(()) }
    }

    async fn put(&self, tx: &mut Tx, number: usize, job: JobId, attempt: i32, last: bool) -> JobResult<()> {
        sqlx::query("insert into ordeal.effect (program, act, job_id, attempt, last) values ($1, $2, $3, $4, $5)")
            .bind(&self.key)
            .bind(number as i32)
            .bind(job)
            .bind(attempt)
            .bind(last)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }
}

async fn note(run: &Run, number: usize) -> JobResult<()> {
    run.progress(number as u64, None, None).await?;
    run.log(&format!("at act {number}")).await
}

/// Fails, unless this is a workflow that runs again.
async fn stumble(run: &Run, number: usize) -> JobResult<()> {
    let runs_again: bool =
        sqlx::query_scalar("select exists (select from engine.restart where job_id = $1)").bind(run.job_id()).fetch_one(run.pool()).await?;
    if runs_again { Ok(()) } else { Err(Failure::new(Category::Validation, format!("act {number} fails on purpose"))) }
}

async fn enqueue_child(run: &Run, child: &Program) -> JobResult<()> {
    let mut tx = run.begin().await?;
    run.enqueue_in(&mut tx, &child.job().idempotency_key("parent", &child.key)).await?;
    tx.commit().await
}

/// How many attempts of this job were counted: the stage of its program.
async fn counted(run: &Run) -> JobResult<usize> {
    // One that a rate sent back has done nothing, and programs with a rate do not snooze themselves.
    let counted: i64 = sqlx::query_scalar(
        "select count(*) from engine.attempt a join engine.job j on j.id = a.job_id
         where j.id = $1 and (a.outcome = 'failed' or a.outcome = 'snoozed' and j.limit_key is distinct from $2)",
    )
    .bind(run.job_id())
    .bind(RATE.0)
    .fetch_one(run.pool())
    .await?;
    Ok(counted as usize)
}

/// Whether the attempt is somebody else's by now.
fn is_refused(failure: &Failure) -> bool {
    failure.message.contains("no longer this worker's")
}

/// Whether a failure is one of the run's faults, which pass, and not the end of the attempt.
fn passes(failure: &Failure) -> bool {
    let by_fault = matches!(failure.category, Category::Network | Category::Timeout | Category::Conflict | Category::Unknown);
    by_fault && !is_refused(failure)
}

const fn category(blame: Blame) -> Category {
    match blame {
        Blame::Validation => Category::Validation,
        Blame::BusinessRule => Category::BusinessRule,
        Blame::RateLimited => Category::RateLimited,
        Blame::Upstream => Category::Upstream,
    }
}

/// Opens files until the process may open no more, which the fleet limits.
fn use_up_files() -> Vec<std::fs::File> {
    std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect()
}

#[expect(unconditional_recursion, reason = "it is here to overflow the stack")]
fn dig(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 512]);
    dig(here[0] + 1) + here[511]
}

/// Allocates until the process's address space, which the fleet limits, is used up. Nothing of it is touched: the machine
/// has other uses for its memory.
fn devour() -> usize {
    let mut held: Vec<Vec<u8>> = Vec::new();
    while held.len() < 1 << 20 {
        held.push(std::hint::black_box(Vec::with_capacity(64 << 20)));
    }
    held.len()
}
