//! Batches: many jobs, and one that is enqueued when all of them have ended.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::{Connection, PgConnection};

use crate::{
    Client, Failure, Job, JobId, JobResult, NewJob, Outcome, Run, StoreError, Tx,
    store::{
        child, job,
        step::{self, At},
    },
};

/// The name of the step that made the jobs.
const JOBS: &str = "jobs";

/// What came of enqueueing a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Batched {
    /// The batch, a job itself: cancelling it cancels what has not ended, and then nothing is called back.
    pub id: JobId,
    /// The jobs in order; `None` where a live job already holds the unique key, which is then no part of the batch.
    pub jobs: Vec<Option<JobId>>,
}

impl Client {
    /// Enqueues jobs and, once all of them have ended, `callback`: its arguments, which are an object, get a member
    /// `batch` with the batch's id and how many jobs completed, were cancelled and died.
    ///
    /// ```no_run
    /// use engine::{Client, Endings, NewJob};
    ///
    /// /// What is called back.
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct MailingDone {
    ///     mailing: i64,
    ///     /// Filled in by then.
    ///     batch: Option<Endings>,
    /// }
    /// # use engine::{Job, JobResult, Outcome, Run};
    /// # impl Job for MailingDone {
    /// #     const KIND: &'static str = "demo.mailing_done";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Mail { to: i64 }
    /// # impl Job for Mail {
    /// #     const KIND: &'static str = "demo.mail";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    ///
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mails: Vec<NewJob> = (1..=5000).map(|to| NewJob::of(&Mail { to })).collect::<Result<_, _>>()?;
    /// let done = NewJob::of(&MailingDone { mailing: 7, batch: None })?;
    /// let batch = client.enqueue_batch(&mails, &done).await?;
    /// println!("batch {} of {} jobs", batch.id, batch.jobs.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`enqueue_batch_in`].
    pub async fn enqueue_batch(&self, jobs: &[NewJob], callback: &NewJob) -> Result<Batched, StoreError> {
        let mut connection = self.pool.acquire().await?;
        enqueue_batch_in(&mut connection, jobs, callback).await
    }
}

/// As [`Client::enqueue_batch`], in the caller's transaction when there is one: all of it or nothing.
///
/// # Errors
/// [`StoreError::CallbackArguments`] when the callback's arguments are no object; [`StoreError::NotForCallback`] when it has a unique or
/// an idempotency key, a time or a deadline; otherwise as [`crate::enqueue_many_in`].
pub async fn enqueue_batch_in(connection: &mut PgConnection, jobs: &[NewJob], callback: &NewJob) -> Result<Batched, StoreError> {
    if !callback.args.get().trim_start().starts_with('{') {
        return Err(StoreError::CallbackArguments);
    }
    if let Some(more) = callback.asks_beyond_later() {
        return Err(StoreError::NotForCallback(more));
    }
    jobs.iter().chain([callback]).try_for_each(NewJob::check)?;
    let mut tx = connection.begin().await?;
    let batch = Batch {
        queue: callback.queue.clone(),
        kind: callback.kind.clone(),
        priority: callback.priority,
        limit_key: callback.limit_key.clone(),
        max_attempts: callback.max_attempts,
        args: serde_json::from_str(callback.args.get())?,
    };
    let waiting = NewJob::of(&batch)?.queue(&callback.queue).priority(callback.priority).or_of_trace(callback.trace());
    let id = job::enqueue(&mut tx, &waiting).await?.id;
    let parts: Vec<NewJob> = jobs.iter().map(|part| part.clone().parent(id).or_of_trace(callback.trace())).collect();
    let made = if parts.is_empty() { Vec::new() } else { job::enqueue_many(&mut tx, &parts).await? };
    let own: Vec<JobId> = made.iter().flatten().copied().collect();
    child::add(&mut tx, id, 1, &own, &vec![false; own.len()]).await?;
    // Which they are is known by the rows above: a list of a hundred thousand is more than a step keeps.
    let none = serde_json::json!([]);
    step::keep(&mut tx, At { job_id: id, attempt: 0, position: 1, name: JOBS }, "child", 0, &none).await?;
    tx.commit().await?;
    Ok(Batched { id, jobs: made })
}

/// Waits for the jobs of a batch and calls back: every worker knows this kind.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Batch {
    queue: String,
    kind: String,
    priority: i16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_attempts: Option<i16>,
    args: serde_json::Map<String, serde_json::Value>,
}

impl Batch {
    /// The kind and the arguments of what is called back, such as they may be, by the arguments of a batch.
    pub(crate) fn callback(args: &str) -> Option<(String, String)> {
        let batch: Self = serde_json::from_str(args).ok()?;
        let args = batch.called_back_with(JobId(0), [0; 3]);
        Some((batch.kind, args))
    }

    fn called_back_with(&self, id: JobId, [completed, cancelled, dead]: [i64; 3]) -> String {
        let mut args = self.args.clone();
        args.insert("batch".into(), serde_json::json!({ "id": id, "completed": completed, "cancelled": cancelled, "dead": dead }));
        serde_json::Value::Object(args).to_string()
    }
}

impl Job for Batch {
    const KIND: &'static str = "engine.batch";

    async fn run(&self, run: &mut Run) -> JobResult {
        let id = run.job_id();
        // A batch that is run again takes over no jobs that were stopped with it, and to call back would say that all is done.
        let Some(jobs) = run.children_made(JOBS).await? else {
            return Err(Failure::validation(
                "the jobs of this batch were stopped, or it was restarted from its first step: enqueue the batch anew",
            ));
        };
        let counts = run.join_counts(&jobs).await?;
        let args = RawValue::from_string(self.called_back_with(id, [counts.completed, counts.cancelled, counts.dead]))?;
        let mut callback = NewJob::raw(&self.kind, args).queue(&self.queue).priority(self.priority).parent(id);
        (callback.limit_key, callback.max_attempts) = (self.limit_key.clone(), self.max_attempts);
        let called =
            run.step("call back", async move |tx: &mut Tx| Ok(job::enqueue(tx, &callback).await.map_err(Failure::from)?.id)).await?;
        Ok(Outcome::Done(serde_json::json!({ "callback": called, "endings": counts })))
    }
}
