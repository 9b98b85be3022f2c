//! How an attempt is told to stop, and why.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use tokio_util::sync::CancellationToken;

use super::Run;

/// Why an attempt should stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Somebody cancelled the job.
    Cancelled,
    /// It ran out of its time, [`crate::Job::TIMEOUT`].
    TimedOut,
    /// The worker shuts down and its grace is over, or it was declared dead: the job runs again, unless it completes first.
    Released,
}

/// How a handler learns that it should stop, and how the worker learns that it listens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    pub(crate) token: CancellationToken,
    pub(crate) heard: Arc<AtomicBool>,
    why: Arc<OnceLock<StopReason>>,
}

impl Stop {
    /// Tells the handler.
    pub(crate) fn tell(&self, why: StopReason) {
        // Before the token wakes somebody who asks.
        let _ = self.why.set(why);
        self.token.cancel();
    }
}

impl Run {
    /// Waits until the attempt should stop; [`Run::stop_reason`] says why: somebody cancelled the job, it ran out of its time, the
    /// worker shuts down and its grace is over, or the worker was declared dead.
    ///
    /// A handler that never asks is dropped at its next await. One that has called this, [`Run::stop_reason`] or [`Run::stop_token`] has
    /// two seconds to end by itself. What it completes within them counts, unless the worker was declared dead, or it is a workflow that
    /// had to go on. A cancel of its own counts, unless the worker goes: that is no reason to cancel a job. Whatever else it returns, what
    /// follows is that for which it was to stop: after a shutdown the job runs again. A job in a process of its own is not asked.
    ///
    /// ```
    /// use engine::{Failure, JobResult, Outcome, Run};
    ///
    /// async fn crawl(run: &Run, pages: &[String]) -> JobResult {
    ///     for page in pages {
    ///         tokio::select! {
    ///             fetched = fetch(page) => fetched?,
    ///             // What follows is that for which it was to stop: after a shutdown another worker goes on.
    ///             () = run.cancelled() => return Err(Failure::not_ready("it was told to stop")),
    ///         }
    ///     }
    ///     Ok(Outcome::done())
    /// }
    /// # async fn fetch(_: &str) -> JobResult<()> { Ok(()) }
    /// ```
    pub async fn cancelled(&self) {
        self.stop.heard.store(true, Ordering::Release);
        self.stop.token.cancelled().await;
    }

    /// Why the attempt should stop; `None` while it need not.
    ///
    /// ```
    /// use engine::{Failure, JobResult, Outcome, Run, StopReason};
    ///
    /// async fn offer(run: &Run) -> JobResult {
    ///     run.cancelled().await;
    ///     match run.stop_reason() {
    ///         Some(StopReason::TimedOut) => Ok(Outcome::Cancel("nobody took the offer in time".into())),
    ///         _ => Err(Failure::not_ready("it was told to stop")),
    ///     }
    /// }
    /// ```
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.stop.heard.store(true, Ordering::Release);
        self.stop.why.get().copied()
    }

    /// As [`Run::cancelled`], for code that cannot await: blocking work asks `is_cancelled` from time to time.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.heard.store(true, Ordering::Release);
        self.stop.token.clone()
    }
}
