//! The worker's side of apalis: a backend that only receives what the claimer hands over.
//!
//! Claiming, recording and renewing are tasks of their own, so nothing here can fail or block.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::Task,
    worker::context::WorkerContext,
};
use tokio::sync::mpsc::UnboundedReceiver;
use tower::layer::util::Identity;

use super::session::Session;
use crate::store::claim::Claimed;

/// The claimed jobs on their way to a handler. The claimer bounds how many there are.
pub(super) struct Intake {
    claimed: UnboundedReceiver<Claimed>,
    session: Arc<Session>,
    config: (),
}

impl Intake {
    pub(super) const fn new(claimed: UnboundedReceiver<Claimed>, session: Arc<Session>) -> Self {
        Self { claimed, session, config: () }
    }

    /// Gives back what was claimed and never started.
    fn release(&self, job: Claimed) {
        let session = self.session.clone();
        tokio::spawn(async move { session.release(job).await });
    }
}

impl Backend for Intake {
    type Task = Task<Claimed>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Self::Task, Infallible>>> {
        loop {
            match self.claimed.poll_recv(cx) {
                Poll::Ready(Some(job)) if self.session.is_over() => self.release(job),
                Poll::Ready(Some(job)) => return Poll::Ready(Some(Ok(Task::new(job)))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Every job has ended and none will come. apalis waits for a stop of its own before it ends the worker.
    fn poll_close(&mut self, _: &mut Context<'_>, worker: &WorkerContext) -> Poll<Result<(), Infallible>> {
        if let Err(error) = worker.stop() {
            tracing::debug!(%error, "the worker had stopped before its backend closed");
        }
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Intake {
    type Args = Claimed;
    type Id = u64;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &self.config
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
