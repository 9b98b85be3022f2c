//! Transactions of one attempt, and which of them may still commit when its handler is not there any more.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use sqlx::{PgConnection, Postgres, Transaction};

use crate::{Failure, JobResult, failpoint::around, workflow::Undoing};

/// The transactions of one attempt that are not decided yet. A handler that is dropped may have asked for a commit, and of
/// jobs that are worked on in one call the others go on; so who ends the attempt looks here first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Undecided(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: AtomicUsize,
    over: AtomicBool,
}

impl Undecided {
    /// Counts one more.
    pub(crate) fn enter(&self) -> Entered {
        self.0.count.fetch_add(1, SeqCst);
        Entered { of: self.clone(), asked_to_commit: false }
    }

    /// From now on none begins. Whether one of those that did may still commit.
    pub(crate) fn close(&self) -> bool {
        self.0.over.store(true, SeqCst);
        self.0.count.load(SeqCst) > 0
    }
}

/// One transaction among those of its attempt, until it is decided.
#[derive(Debug)]
pub(crate) struct Entered {
    of: Undecided,
    asked_to_commit: bool,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if !self.asked_to_commit {
            self.of.0.count.fetch_sub(1, SeqCst);
        }
    }
}

/// A transaction of one attempt. It began with proof that the attempt is still this worker's, and while it is
/// open nobody can rescue the job.
#[derive(Debug)]
pub struct Tx {
    pub(crate) inner: Transaction<'static, Postgres>,
    entered: Entered,
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
    /// One that holds its proof.
    ///
    /// # Errors
    /// Of category `conflict` when the attempt was ended meanwhile: whoever did so may have looked for its transactions before
    /// this one had its locks.
    pub(crate) fn proven(inner: Transaction<'static, Postgres>, entered: Entered) -> JobResult<Self> {
        if entered.of.0.over.load(SeqCst) {
            return Err(Failure::lease_lost());
        }
        Ok(Self { inner, entered, undoing: None })
    }

    /// Commits the effects; the job goes on.
    ///
    /// # Errors
    /// When the connection fails the outcome is unknown, and the job runs again.
    pub async fn commit(self) -> JobResult<()> {
        let Self { inner, mut entered, .. } = self;
        entered.asked_to_commit = true;
        let committed = around("run/commit", inner.commit()).await;
        entered.asked_to_commit = committed.as_ref().is_err_and(|error| error.as_database_error().is_none());
        Ok(committed?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_before_it_asked_for_its_commit_is_decided_and_what_did_is_not() {
        let undecided = Undecided::default();
        let (rolled_back, mut unsure) = (undecided.enter(), undecided.enter());
        drop(rolled_back);
        unsure.asked_to_commit = true;
        drop(unsure);
        assert!(undecided.close(), "its commit may come yet");
        let other = Undecided::default();
        drop(other.enter());
        assert!(!other.close());
    }
}
