//! Transactions of one attempt, and which of them may still commit when its handler is not there any more.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use sqlx::{PgConnection, Postgres, Transaction};

use crate::{
    Enqueued, Failure, JobId, JobResult, NewJob, failpoint::around, planted::planted, sqlstate, store, trace::TraceParent,
    workflow::Undoing,
};

/// The commits of one attempt that were asked for and not answered. A handler that is dropped may have asked for one, and of
/// jobs that are worked on in one call the others go on; so who ends the attempt looks here first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Undecided(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    asked: AtomicUsize,
    over: AtomicBool,
}

impl Undecided {
    /// From now on no commit is asked for. Whether one was, and what became of it is not known.
    pub(crate) fn close(&self) -> bool {
        self.0.over.store(true, SeqCst);
        self.0.asked.load(SeqCst) > 0
    }

    /// Takes note that a commit is asked for, unless the attempt is over: whoever ends it either sees this, or is seen here.
    fn ask(&self) -> JobResult<()> {
        self.0.asked.fetch_add(1, SeqCst);
        if self.0.over.load(SeqCst) && !planted!("a commit is asked for after the attempt's end") {
            self.answered();
            return Err(Failure::lease_lost());
        }
        Ok(())
    }

    fn answered(&self) {
        self.0.asked.fetch_sub(1, SeqCst);
    }
}

/// A transaction of one attempt. It began with proof that the attempt is still this worker's, and while it is
/// open nobody can rescue the job.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    undecided: Undecided,
    /// The attempt's job, on whose behalf it enqueues others.
    job_id: JobId,
    /// The place in a trace that the attempt stands at.
    trace: Option<TraceParent>,
    /// The step of a workflow that it belongs to.
    pub(crate) undoing: Option<Undoing>,
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}

impl Tx {
    /// One that holds its proof, of an attempt of this job at this place in a trace.
    pub(crate) const fn proven(
        inner: Transaction<'static, Postgres>,
        undecided: Undecided,
        job_id: JobId,
        trace: Option<TraceParent>,
    ) -> Self {
        Self { inner, undecided, job_id, trace, undoing: None }
    }

    /// Enqueues a follow-up job in the same transaction as the effects that call for it, on behalf of the attempt's job: as
    /// [`Run::enqueue_in`](crate::Run::enqueue_in), for the steps of a workflow, which have no [`Run`](crate::Run) at hand.
    ///
    /// ```
    /// use engine::{Job, JobResult, NewJob, Outcome, Run, Tx};
    ///
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct SendReceipt { order: i64 }
    /// # impl Job for SendReceipt {
    /// #     const KIND: &'static str = "shop.send_receipt";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    /// async fn pay(run: &mut Run, order: i64) -> JobResult<()> {
    ///     let receipt = NewJob::of(&SendReceipt { order })?;
    ///     run.step("pay", async |tx: &mut Tx| {
    ///         sqlx::query("update orders set paid = true where id = $1").bind(order).execute(&mut **tx).await?;
    ///         tx.enqueue(&receipt).await?;
    ///         Ok(())
    ///     })
    ///     .await
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Run::enqueue_in`](crate::Run::enqueue_in).
    pub async fn enqueue(&mut self, job: &NewJob) -> JobResult<Enqueued> {
        let job = job.on_behalf_of(self.job_id, self.trace.clone());
        Ok(store::job::enqueue(self, &job).await?)
    }

    /// Commits the effects; the job goes on.
    ///
    /// # Errors
    /// When the connection fails the outcome is unknown, and the job runs again. Of category `conflict` when the attempt has
    /// ended; and what a statement failed with that was passed over: nothing was written then.
    pub async fn commit(mut self) -> JobResult<()> {
        // The commit of a transaction in which a statement failed is a rollback, and is answered as a success.
        sqlx::raw_sql("select 1").execute(&mut *self).await?;
        self.decide("run/commit").await
    }

    /// Commits what ends with a statement that succeeded.
    ///
    /// # Errors
    /// As [`Tx::commit`].
    pub(crate) async fn decide(self, place: &'static str) -> JobResult<()> {
        let Self { inner, undecided, .. } = self;
        undecided.ask()?;
        let committed = around(place, inner.commit()).await;
        if committed.as_ref().err().is_none_or(sqlstate::is_rolled_back) {
            undecided.answered();
        }
        Ok(committed?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_waits_for_a_commit_that_was_asked_for_and_none_is_asked_for_after_it() {
        let undecided = Undecided::default();
        undecided.ask().expect("nobody ended it");
        undecided.answered();
        assert!(!undecided.close(), "it was answered");
        assert!(undecided.ask().is_err());
        let unsure = Undecided::default();
        unsure.ask().expect("nobody ended it");
        assert!(unsure.close() && unsure.close(), "its answer never came");
    }
}
