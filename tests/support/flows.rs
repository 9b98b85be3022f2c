//! Workflows made for testing: programs whose acts are their arguments.

use std::time::Duration;

use engine::{Category, Child, Failure, First, Job, JobResult, NewJob, Outcome, Run, Tx};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::kinds::NoOp;

/// A workflow that does these acts in order and returns what each returned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flow {
    pub acts: Vec<Act>,
}

/// What a [`Flow`] can do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A row in `test_trace`, in a step of this name.
    Step(String),
    /// The same outside a transaction, with its idempotency key.
    Outside(String),
    /// So many steps of one name, numbered.
    Steps(u32),
    /// The number of the attempt that came here first.
    Value(String),
    /// A sleep of so many milliseconds.
    Sleep(u64),
    /// A wait for an event of this name and key, perhaps with a timeout in milliseconds.
    Wait(String, String, Option<u64>),
    /// A wait for an event of this name whose payload is a number; one that has none is passed over.
    WaitForNumber(String),
    /// A job that writes this to the trace when the workflow is undone, and has some ten bytes of arguments so many times.
    UndoLarge(String, usize),
    /// An event of this name and key, with the job's id as its payload.
    Emit(String, String),
    /// A failure of category network, in the runs up to this one.
    Fail(i32),
    /// In the run of this number it asks to come again.
    Snooze(i32),
    /// From the run of this number on it is no longer wanted.
    GiveUp(i32),
    /// Children that run these flows, joined; returns how each ended.
    Children(Vec<Flow>),
    /// A child with this limit key that runs this flow, joined.
    Keyful(String, Box<Flow>),
    /// Children that run these flows, joined one by one as they end; returns their places in that order.
    Race(Vec<Flow>),
    /// A child that runs this flow, or the event `first` of this key, or a time in milliseconds: whatever comes first, until
    /// the child has ended. Returns what came.
    First(Box<Flow>, Option<String>, u64),
    /// The same, not joined; marked, they outlive their parent.
    Leave(Vec<Flow>, bool),
    /// So many children that do nothing, counted as they end.
    Crowd(i64),
    /// So many children that end at once, each of a unique key of its own, counted as they end.
    Keyed(u32),
    /// A job that writes this to the trace when the workflow is undone.
    Undo(String),
    /// A step, which a job of this name undoes.
    Undoable(String),
    /// Goes another way when the patch is in.
    Patch(String),
    /// A failure for good.
    Die,
    /// A new beginning, which does these acts.
    Continue(Vec<Act>),
    /// So many new beginnings, each after a step.
    Rounds(u32),
    /// A wait whose suspension is not handed on.
    Swallow(String),
}

impl Job for Flow {
    const KIND: &'static str = "test.flow";

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut returned = Vec::new();
        for act in &self.acts {
            match act {
                Act::Continue(acts) => return run.continue_as(&Self { acts: acts.clone() }).await,
                Act::Rounds(left @ 1..) => {
                    step(run, "round").await?;
                    return run.continue_as(&Self { acts: vec![Act::Rounds(left - 1)] }).await;
                }
                Act::Snooze(number) if run.attempt() == *number => return Ok(Outcome::Snooze(Duration::from_millis(1))),
                Act::GiveUp(from) if run.attempt() >= *from => return Ok(Outcome::Cancel("it is no longer wanted".into())),
                act => returned.push(act.perform(run).await?),
            }
        }
        Ok(Outcome::Done(returned.into()))
    }
}

impl Act {
    async fn perform(&self, run: &mut Run) -> JobResult<Value> {
        match self {
            Self::Step(name) => step(run, name).await,
            Self::Outside(name) => {
                let pool = run.pool().clone();
                let (job, attempt) = (run.job_id(), run.attempt());
                run.step_outside(name, async move |key| {
                    sqlx::query("insert into test_trace (job_id, attempt, name) values ($1, $2, $3)")
                        .bind(job)
                        .bind(attempt)
                        .bind(&key)
                        .execute(&pool)
                        .await?;
                    Ok(json!(key))
                })
                .await
            }
            Self::Steps(count) => {
                for _ in 0..*count {
                    step(run, "again").await?;
                }
                Ok(json!(count))
            }
            Self::Value(name) => {
                let attempt = run.attempt();
                run.value(name, || json!(attempt)).await
            }
            Self::Sleep(ms) => run.sleep("sleep", Duration::from_millis(*ms)).await.map(|()| Value::Null),
            Self::Wait(name, key, timeout) => {
                let event: Option<Value> = run.wait_event(name, key, timeout.map(Duration::from_millis)).await?;
                Ok(json!(event))
            }
            Self::WaitForNumber(name) => loop {
                match run.wait_event::<i64>(name, "", None).await {
                    Err(failure) if failure.category == Category::Validation => (),
                    number => return Ok(json!(number?)),
                }
            },
            Self::UndoLarge(name, times) => {
                let nothing = std::iter::repeat_n(Act::Fail(0), *times);
                let undo = NewJob::of(&Flow { acts: std::iter::once(Act::Step(name.clone())).chain(nothing).collect() })?;
                run.compensate_with(name, &undo).await.map(|()| Value::Null)
            }
            Self::Emit(name, key) => run.emit(name, key, &run.job_id()).await.map(|()| Value::Null),
            Self::Fail(until) if run.attempt() <= *until => Err(Failure::network("failed on purpose")),
            Self::Fail(_) | Self::Continue(_) | Self::Rounds(_) | Self::Snooze(_) | Self::GiveUp(_) => Ok(Value::Null),
            Self::Children(flows) => {
                let children = run.children("children", &jobs(flows)?).await?;
                Ok(json!(run.join_all(&children).await?))
            }
            Self::Keyful(key, flow) => {
                let child = run.child("keyful", &NewJob::of(&**flow)?.limit_key(key)).await?;
                Ok(json!(run.join(&child).await?))
            }
            Self::Race(flows) => race(run, flows).await,
            Self::First(flow, key, ms) => first(run, flow, key.as_deref(), Duration::from_millis(*ms)).await,
            Self::Leave(flows, stay) => {
                let jobs: Vec<NewJob> = jobs(flows)?.into_iter().map(|job| if *stay { job.outlives_parent() } else { job }).collect();
                Ok(json!(run.children("left", &jobs).await?.jobs()))
            }
            Self::Crowd(count) => {
                let jobs: Vec<NewJob> = (0..*count).map(|n| NewJob::of(&NoOp { n })).collect::<Result<_, _>>()?;
                let children = run.children("crowd", &jobs).await?;
                Ok(json!(run.join_counts(&children).await?))
            }
            Self::Keyed(count) => {
                let nothing = NewJob::of(&Flow { acts: Vec::new() })?;
                let jobs: Vec<NewJob> = (0..*count).map(|n| nothing.clone().unique_key(format!("child {n}"))).collect();
                let children = run.children("keyed", &jobs).await?;
                Ok(json!(run.join_counts(&children).await?))
            }
            Self::Undo(name) => run.compensate_with(name, &undoing(name)?).await.map(|()| Value::Null),
            Self::Undoable(name) => {
                let undo = undoing(&format!("undo {name}"))?;
                run.step(name, async |tx: &mut Tx| tx.compensate_with(&undo).await).await.map(|()| Value::Null)
            }
            Self::Patch(name) => Ok(json!(run.patch(name).await?)),
            Self::Die => Err(Failure::validation("died on purpose")),
            Self::Swallow(name) => {
                let _ = run.wait_event::<Value>(name, "", None).await;
                Ok(Value::Null)
            }
        }
    }
}

async fn first(run: &mut Run, flow: &Flow, key: Option<&str>, wait: Duration) -> JobResult<Value> {
    let child = run.child("first", &NewJob::of(flow)?).await?;
    let mut came = Vec::new();
    loop {
        let first: First<Value> = match key {
            Some(key) => run.wait_first("first", key, &[&child], wait).await?,
            None => run.join_any_within("first", &[&child], wait).await?.map_or(First::Late, |(place, ending)| First::Child(place, ending)),
        };
        match first {
            First::Child(..) => {
                came.push(json!("child"));
                return Ok(came.into());
            }
            First::Event(payload) => came.push(payload),
            First::Late => came.push(json!("late")),
        }
    }
}

async fn race(run: &mut Run, flows: &[Flow]) -> JobResult<Value> {
    let (mut children, mut order) = (Vec::new(), Vec::new());
    for (place, job) in jobs(flows)?.iter().enumerate() {
        children.push((place, run.child("runner", job).await?));
    }
    while !children.is_empty() {
        let left: Vec<&Child> = children.iter().map(|(_, child)| child).collect();
        let (first, ending) = run.join_any("first", &left).await?;
        let (place, _) = children.remove(first);
        order.push(json!([place, ending]));
    }
    Ok(order.into())
}

fn jobs(flows: &[Flow]) -> JobResult<Vec<NewJob>> {
    Ok(flows.iter().map(NewJob::of).collect::<Result<_, _>>()?)
}

/// The job that undoes something by writing its name.
fn undoing(name: &str) -> JobResult<NewJob> {
    Ok(NewJob::of(&Flow { acts: vec![Act::Step(name.into())] })?.limit_key("undo"))
}

async fn step(run: &mut Run, name: &str) -> JobResult<Value> {
    let (job, attempt) = (run.job_id(), run.attempt());
    run.step(name, async |tx: &mut Tx| {
        sqlx::query("insert into test_trace (job_id, attempt, name) values ($1, $2, $3)")
            .bind(job)
            .bind(attempt)
            .bind(name)
            .execute(&mut **tx)
            .await?;
        Ok(json!(attempt))
    })
    .await
}

/// The table that steps write to.
pub async fn make_trace_table(pool: &PgPool) {
    sqlx::query("create table test_trace (n bigint generated always as identity, job_id bigint not null, attempt integer not null, name text not null)")
        .execute(pool)
        .await
        .expect("a table can be created");
}

/// What was written by a job, in order.
pub async fn trace(pool: &PgPool, job: engine::JobId) -> Vec<(String, i32)> {
    sqlx::query_as("select name, attempt from test_trace where job_id = $1 order by n")
        .bind(job)
        .fetch_all(pool)
        .await
        .expect("the trace can be read")
}
