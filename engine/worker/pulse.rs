//! The runtime's pulse: handlers that block every thread of it stop all that looks after their jobs, and their own
//! timeouts too. The lease's thread, which they cannot stop, feels for it and lets the lease go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::task::AbortOnDropHandle;

/// How often the runtime shows that it lives.
const BEAT: Duration = Duration::from_millis(100);

/// When the runtime last got to run a task that was due.
pub(super) struct Pulse {
    begun: Instant,
    last_ms: AtomicU64,
}

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), last_ms: AtomicU64::new(0) })
    }

    /// Beats on the current runtime until the handle is dropped.
    pub(super) fn start(self: &Arc<Self>) -> AbortOnDropHandle<()> {
        let pulse = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                pulse.last_ms.store(pulse.begun.elapsed().as_millis() as u64, Ordering::Release);
                tokio::time::sleep(BEAT).await;
            }
        }))
    }

    /// How long ago it beat.
    pub(super) fn age(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Acquire)))
    }
}
