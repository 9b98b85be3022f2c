//! What a handler is given: the facts of its attempt, and transactions that only its own attempt may commit.

mod occurrence;
mod stop;

use std::{
    any::{Any, type_name},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use sqlx::PgPool;

use crate::{
    Enqueued, Failure, JobId, JobResult, NewJob, Outcome,
    shared::Shared,
    store::{self, attempt::Verdict},
    trace::{self, TraceParent},
    tx::{Tx, Undecided},
    workflow::Course,
};

pub use stop::StopReason;

pub(crate) use stop::Stop;

/// One attempt of a job, as its handler sees it.
#[derive(Debug)]
pub struct Run {
    pub(crate) pool: PgPool,
    pub(crate) worker_id: i64,
    pub(crate) claim_id: i64,
    pub(crate) kind: &'static str,
    pub(crate) job_id: JobId,
    pub(crate) attempt: i32,
    pub(crate) trace: Option<TraceParent>,
    pub(crate) started: std::time::Instant,
    pub(crate) fate: Fate,
    /// In a process of its own, without a database.
    pub(crate) isolated: bool,
    pub(crate) shared: Shared,
    pub(crate) stop: Stop,
    pub(crate) course: Course,
    pub(crate) heard: Heard,
    pub(crate) undecided: Undecided,
    /// Held while something is written down that the job tells: the next place in its log is read before it is taken.
    pub(crate) telling: tokio::sync::Mutex<()>,
}

/// What the transactions of an attempt were told of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fate(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    settled: AtomicBool,
    refused: AtomicBool,
}

impl Fate {
    /// One of them recorded its end.
    fn settle(&self) {
        self.0.settled.store(true, Ordering::Release);
    }

    /// One was refused: the attempt is somebody else's.
    fn refuse(&self) -> Failure {
        self.give_back()
    }

    /// The attempt is given back, whatever the handler makes of it.
    pub(crate) fn give_back(&self) -> Failure {
        self.0.refused.store(true, Ordering::Release);
        Failure::lease_lost()
    }

    /// How it ended, whatever the handler makes of it: its end is recorded; or it is somebody else's. The server that said so may since
    /// have been replaced by a standby that never had the verdict, where it still is this worker's and has to be given back.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        if self.0.settled.load(Ordering::Acquire) {
            return Some(Verdict::Settled);
        }
        self.0.refused.load(Ordering::Acquire).then_some(Verdict::Released)
    }
}

/// What a handler said of the outside system that it called.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    /// It answered.
    Answered,
    /// It was not called.
    NoCall,
    /// A call of it failed; or it is the engine's own database that did.
    Failed(Failure),
}

/// What a handler has said, however its attempt ends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Option<Said>>>);

impl Heard {
    fn said(&self) -> MutexGuard<'_, Option<Said>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says so; what was said before is forgotten.
    fn say(&self, what: Said) {
        *self.said() = Some(what);
    }

    /// Adds that an act of a workflow outside the database succeeded, when the handler has said nothing of it.
    pub(crate) fn answered(&self) {
        self.said().get_or_insert(Said::Answered);
    }

    /// Adds that the engine's own database failed, when the handler has not said that a call did.
    pub(crate) fn add(&self, end: &Failure) {
        let mut said = self.said();
        if end.of_database && !matches!(*said, Some(Said::Failed(_))) {
            *said = Some(Said::Failed(end.clone()));
        }
    }

    /// What was said.
    pub(crate) fn take(&self) -> Option<Said> {
        self.said().take()
    }
}

impl Run {
    /// The job.
    pub const fn job_id(&self) -> JobId {
        self.job_id
    }

    /// Its kind.
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    /// The number of this run of the job, from 1. Together with the job it is the fencing token for outside effects.
    pub const fn attempt(&self) -> i32 {
        self.attempt
    }

    /// The worker that runs it, in this life.
    pub const fn worker_id(&self) -> i64 {
        self.worker_id
    }

    /// The place in a trace that this attempt stands at: the header `traceparent` of what it asks of other systems, and with
    /// [`TraceParent::state`] the header `tracestate`.
    pub fn trace_parent(&self) -> Option<TraceParent> {
        trace::current().or_else(|| self.trace.clone())
    }

    /// Connections for reading. Writes go through [`Run::begin`], which is fenced.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// What the program handed to [`crate::Kinds::sharing`].
    ///
    /// # Errors
    /// A failure of category `not_ready` when this worker was given nothing of the type: another may have been.
    pub fn shared<T: Any>(&self) -> JobResult<&T> {
        self.shared.get().ok_or_else(|| Failure::not_ready(format!("this worker was started without {}", type_name::<T>())))
    }

    /// Says that a call of the outside system failed, for its breaker ([`crate::Job::CALLS`]), when the attempt will end in
    /// another way than with this failure.
    pub fn call_failed(&self, failure: Failure) {
        self.heard.say(Said::Failed(failure));
    }

    /// Says that the outside system answered, for its breaker ([`crate::Job::CALLS`]), when the attempt will end before the job is
    /// done: as a snooze, a cancel, or in a wait of a workflow, which otherwise say that it was not called. [`Run::step_outside`] says
    /// it by itself.
    pub fn call_answered(&self) {
        self.heard.say(Said::Answered);
    }

    /// Says that this attempt called nothing, for the breaker of its system ([`crate::Job::CALLS`]), when it ends well all the same:
    /// what it was to call for is gone, or was done before. It counts neither as an answer nor as a failure, and as the probe of a
    /// breaker that is open it gives its turn to the next job. An attempt that snoozes, waits or is cancelled says so by that.
    pub fn called_nothing(&self) {
        self.heard.say(Said::NoCall);
    }

    /// An isolated job has none.
    fn require_database(&self) -> JobResult<()> {
        if self.isolated {
            return Err(Failure::bug("an isolated job has no database: return what it found, for another job to write"));
        }
        Ok(())
    }

    /// Begins a transaction, fenced: it fails when this attempt was rescued, cancelled or has ended. It has ended then, whatever the
    /// handler returns.
    ///
    /// # Errors
    /// A failure of category `conflict` when the attempt is no longer this worker's; of category `bug` in an isolated job; otherwise the
    /// database's.
    pub async fn begin(&self) -> JobResult<Tx> {
        self.require_database()?;
        let mut tx = self.pool.begin().await?;
        let trace = self.trace_parent().map(|trace| trace.text());
        if !store::claim::assert_held(&mut tx, self.worker_id, self.claim_id, self.job_id, self.attempt, trace.as_deref()).await? {
            return Err(self.fate.refuse());
        }
        Ok(Tx::proven(tx, self.undecided.clone(), self.job_id, self.trace.clone()))
    }

    /// Enqueues a follow-up job in the same transaction as the effects that call for it, on behalf of this one. In a step it is
    /// [`Tx::enqueue`].
    ///
    /// # Errors
    /// Those of [`crate::enqueue_in`]: `not_ready` when the queue is full, `validation` for a job that is refused, and the database's.
    pub async fn enqueue_in(&self, tx: &mut Tx, job: &NewJob) -> JobResult<Enqueued> {
        let job = job.on_behalf_of(self.job_id, self.trace.clone());
        Ok(store::job::enqueue(tx, &job).await?)
    }

    /// Says how far the job is: `done` of `total`, in whatever it counts, and perhaps in words. [`crate::store::job::show`] has it.
    ///
    /// ```
    /// use engine::{JobResult, Run};
    ///
    /// async fn import(run: &Run, files: &[String]) -> JobResult<()> {
    ///     for (done, file) in (0..).zip(files) {
    ///         run.progress(done, files.len() as u64, Some(file)).await?;
    ///         if read(file).await?.is_empty() {
    ///             run.log(&format!("{file} is empty")).await?;
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// # async fn read(_: &str) -> JobResult<String> { Ok(String::new()) }
    /// ```
    ///
    /// # Errors
    /// As [`Run::begin`].
    pub async fn progress(&self, done: u64, total: impl Into<Option<u64>>, note: Option<&str>) -> JobResult<()> {
        let _turn = self.telling.lock().await;
        let mut tx = self.begin().await?;
        store::note::progress(&mut tx, self.job_id, self.attempt, done, total.into(), note).await?;
        tx.decide("run/commit").await
    }

    /// Adds to the job's own log, of which the last 100 lines are kept, and of each the first 1,024 bytes.
    ///
    /// # Errors
    /// As [`Run::begin`].
    pub async fn log(&self, text: &str) -> JobResult<()> {
        let _turn = self.telling.lock().await;
        let mut tx = self.begin().await?;
        store::note::log(&mut tx, self.job_id, self.attempt, text).await?;
        tx.decide("run/commit").await
    }

    /// Commits the effects and this job's completion together: both happen, or neither. Return what this returns.
    ///
    /// ```
    /// use engine::{Job, JobResult, Run};
    ///
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct CountVisit { visitor: String }
    /// impl Job for CountVisit {
    ///     const KIND: &'static str = "demo.count_visit";
    ///
    ///     async fn run(&self, run: &mut Run) -> JobResult {
    ///         let mut tx = run.begin().await?;
    ///         let visits: i64 = sqlx::query_scalar("update visitor set visits = visits + 1 where name = $1 returning visits")
    ///             .bind(&self.visitor)
    ///             .fetch_one(&mut *tx)
    ///             .await?;
    ///         run.complete_in(tx, serde_json::json!({ "visits": visits })).await
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// A failure of category `conflict` when the attempt is no longer this worker's; `bug` when a workflow's history goes on from here.
    /// Nothing was written then. Otherwise the database's; when the connection fails at the commit, the outcome is unknown.
    pub async fn complete_in(&self, mut tx: Tx, output: serde_json::Value) -> JobResult {
        if let Some(left_out) = self.course.left_out() {
            return Err(left_out);
        }
        let run_us = self.started.elapsed().as_micros() as i64;
        let late =
            store::attempt::complete_one(&mut tx, self.worker_id, self.claim_id, (self.job_id, self.attempt), run_us, &output).await?;
        if late && !crate::planted::planted!("a late completion commits its effects") {
            return Err(self.fate.refuse());
        }
        tx.decide("run/complete commit").await?;
        self.fate.settle();
        Ok(Outcome::Done(output))
    }
}
