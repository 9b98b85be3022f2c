//! Compensation: what undoes the steps of a workflow that is cancelled or fails for good.

use std::{collections::HashMap, time::Instant};

use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::course::{Act, Met};
use crate::{
    Ending, Failure, Job, JobId, JobResult, NewJob, Outcome, Run, Tx,
    store::compensation::{self, Compensation},
};

impl Run {
    /// Takes note of a job that undoes what follows, should the workflow be cancelled or fail for good: then these jobs
    /// run one after another, the last one first. Note it before the act that it undoes; it must do no harm when that
    /// act did not happen.
    ///
    /// # Errors
    /// `validation` when the job has a unique or an idempotency key, a time or a deadline, or a number that is none; otherwise as
    /// [`Run::step`].
    pub async fn compensate_with(&mut self, name: &str, job: &NewJob) -> JobResult<()> {
        let position = match self.meet(Act::Undo, name).await? {
            Met::Known(kept) => return self.known(&kept),
            Met::New(position) => position,
        };
        let begun = Instant::now();
        let mut tx = self.begin().await?;
        tx.undoing = Some(Undoing { workflow: self.job_id, position, noted: 0 });
        tx.compensate_with(job).await?;
        self.keep(tx, Act::Undo, position, name, begun, &()).await
    }
}

/// Of which step a transaction notes compensations, and how many it has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Undoing {
    pub(super) workflow: JobId,
    pub(super) position: i32,
    /// How many it has.
    pub(super) noted: i32,
}

impl Tx {
    /// In a step: takes note of a job that undoes the step, should the workflow be cancelled or fail for good. It is
    /// noted if, and only if, the step's effects are committed.
    ///
    /// ```
    /// use engine::{Job, JobResult, NewJob, Outcome, Run, Tx};
    ///
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct GiveBack { order: i64 }
    /// # impl Job for GiveBack {
    /// #     const KIND: &'static str = "stock.give_back";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    /// async fn reserve(run: &mut Run, order: i64) -> JobResult<()> {
    ///     let give_back = NewJob::of(&GiveBack { order })?;
    ///     run.step("reserve", async |tx: &mut Tx| {
    ///         sqlx::query("insert into reservations (order_id) values ($1)").bind(order).execute(&mut **tx).await?;
    ///         tx.compensate_with(&give_back).await
    ///     })
    ///     .await
    /// }
    /// ```
    ///
    /// # Errors
    /// `bug` outside a step; `validation` when the job has a unique or an idempotency key, a time, a deadline or a number that is none;
    /// otherwise the database's.
    pub async fn compensate_with(&mut self, job: &NewJob) -> JobResult<()> {
        let Some(undoing) = &mut self.undoing else {
            return Err(Failure::bug("only a step of a workflow is compensated for, and this transaction is of none"));
        };
        if let Some(more) = job.asks_beyond_later() {
            return Err(Failure::validation(format!("a compensation of kind {} has {more}: it runs once, when its turn comes", job.kind)));
        }
        job.check()?;
        undoing.noted += 1;
        let Undoing { workflow, position, noted } = *undoing;
        Ok(compensation::add(self, workflow, position, noted, job).await?)
    }
}

/// Undoes what a workflow did that was cancelled or died: every worker knows this kind.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Unwind {
    workflow: JobId,
}

/// Bytes of arguments that the list of what is to be undone is kept with: a step keeps a MiB, and in it each quote takes two bytes.
const LISTED_BYTES: usize = 256 * 1024;
/// And so many jobs.
const LISTED: usize = 1000;

/// What is to be undone, as a step keeps it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Listed {
    /// All of it.
    Whole(Vec<Compensation>),
    /// Step and number of each, where all of it would be too much.
    Places(Vec<(i32, i32)>),
}

impl Listed {
    fn of(undone: Vec<Compensation>) -> Self {
        let bytes: usize = undone.iter().map(|undo| undo.args.len()).sum();
        if bytes <= LISTED_BYTES && undone.len() <= LISTED {
            return Self::Whole(undone);
        }
        Self::Places(undone.iter().map(|undo| (undo.position, undo.n)).collect())
    }

    async fn compensations(self, pool: &PgPool, workflow: JobId) -> JobResult<Vec<Compensation>> {
        let places = match self {
            Self::Whole(undone) => return Ok(undone),
            Self::Places(places) => places,
        };
        let mut all: HashMap<_, _> =
            compensation::all(pool, workflow).await?.into_iter().map(|undo| ((undo.position, undo.n), undo)).collect();
        let found: Option<Vec<_>> = places.iter().map(|place| all.remove(place)).collect();
        found.ok_or_else(|| Failure::bug("what is to be undone is not there any more"))
    }
}

impl Job for Unwind {
    const KIND: &'static str = "engine.unwind";

    async fn run(&self, run: &mut Run) -> JobResult {
        let workflow = self.workflow;
        let listed = run.step("list", async move |tx: &mut Tx| Ok(Listed::of(compensation::open(tx, workflow).await?))).await?;
        let undone = listed.compensations(run.pool(), workflow).await?;
        for undo in &undone {
            let job = undo.job()?;
            let child = run.child(&undo.kind, &job).await?;
            let ending = run.join(&child).await?;
            if !matches!(ending, Ending::Completed(_)) {
                return Err(Failure::business_rule(format!(
                    "step {} of workflow {workflow} is not undone: job {} of kind {} did not complete. Requeue this letter when \
                     the reason is mended; what was undone before stays so",
                    undo.position,
                    child.job_id(),
                    undo.kind
                )));
            }
            let by = child.job_id();
            run.step("undone", async move |tx: &mut Tx| Ok(compensation::done(tx, workflow, undo, by).await?)).await?;
        }
        Ok(Outcome::Done(serde_json::json!({ "undone": undone.len() })))
    }
}
