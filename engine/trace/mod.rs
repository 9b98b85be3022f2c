//! Traces: for whom something is done, across programs, by the recommendation "Trace Context" of W3C.
//!
//! producer's span -> job -> its attempts -> follow-up jobs, children, calls of other systems
//!
//! A job keeps the place in a trace that its producer stood at; what an attempt of it does, and enqueues, belongs to that.

mod parent;

use std::pin::Pin;

pub use parent::{NoTraceParent, TraceParent};

tokio::task_local! {
    /// The place in a trace that this task works for.
    static CURRENT: TraceParent;
}

/// The place in a trace that the caller works for: that of the attempt it is a part of, or of [`within`].
pub fn current() -> Option<TraceParent> {
    CURRENT.try_with(|current| *current).ok()
}

/// Does some work for a place in a trace: what it enqueues and emits without naming another belongs there.
pub async fn within<T>(parent: Option<TraceParent>, work: impl Future<Output = T>) -> T {
    match parent {
        Some(parent) => CURRENT.scope(parent, work).await,
        None => work.await,
    }
}

/// As [`within`], for work that is boxed already: without a trace it costs nothing.
pub(crate) fn boxed_within<T: 'static>(
    parent: Option<TraceParent>,
    work: Pin<Box<dyn Future<Output = T> + Send>>,
) -> Pin<Box<dyn Future<Output = T> + Send>> {
    match parent {
        Some(parent) => Box::pin(CURRENT.scope(parent, work)),
        None => work,
    }
}
