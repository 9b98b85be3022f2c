//! How work is stopped: one job, or all of them.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::session::Session;
use crate::StopReason;

/// Why a running job is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Somebody asked to cancel it.
    Cancel,
    /// It ran longer than its kind may.
    Timeout,
    /// The worker shuts down and the grace period is over.
    Release,
    /// The worker was declared dead: the job belongs to somebody else.
    Lost,
}

impl Stop {
    /// What the handler hears of it.
    pub(super) const fn reason(self) -> StopReason {
        match self {
            Self::Cancel => StopReason::Cancelled,
            Self::Timeout => StopReason::TimedOut,
            Self::Release | Self::Lost => StopReason::Released,
        }
    }
}

/// How one running job is told to stop.
pub(super) type StopSender = watch::Sender<Option<Stop>>;

/// Turns a shutdown into a drain, and the end of the grace period, or death, into stopped jobs.
pub(super) async fn stopper(session: Arc<Session>, shutdown: CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {
            session.draining.cancel();
            tokio::select! {
                () = session.idle() => (),
                () = session.lost.cancelled() => session.stop(|_| true, Stop::Lost),
                () = tokio::time::sleep(session.program.config.grace) => session.stop(|_| true, Stop::Release),
            }
        }
        () = session.lost.cancelled() => session.stop(|_| true, Stop::Lost),
        () = session.draining.cancelled() => (),
    }
}
