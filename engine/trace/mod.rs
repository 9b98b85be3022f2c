//! Traces: for whom something is done, across programs, by the recommendation "Trace Context" of W3C.
//!
//! producer's span -> job -> its attempts -> follow-up jobs, children, calls of other systems
//!
//! A job keeps the place in a trace that its producer stood at; what an attempt of it does, and enqueues, belongs to that. What the
//! systems on the way have noted (`tracestate`) goes along.
//! With the feature `otlp`, and a provider of OpenTelemetry (`export_to`), each attempt is a span of its own.

mod parent;
// The same in two ways: with OpenTelemetry, and with nobody to tell.
#[cfg(feature = "otlp")]
mod recorded;
#[cfg(not(feature = "otlp"))]
#[path = "unrecorded.rs"]
mod recorded;
mod span;
mod state;

pub use parent::{NoTraceParent, TraceParent};
#[cfg(feature = "otlp")]
pub use recorded::{Ids, export_to};
pub use span::{Fact, Role, Span};

/// The place in a trace that the caller works for: that of the attempt or request it is a part of, of [`within`], or, with
/// the feature `otlp`, of the current span of OpenTelemetry. A task that was spawned on the way knows none.
pub fn current() -> Option<TraceParent> {
    recorded::current()
}

/// Does some work for a place in a trace: what it enqueues and emits without naming another belongs there.
pub async fn within<T>(place: Option<TraceParent>, work: impl Future<Output = T>) -> T {
    match place {
        Some(place) => recorded::carry(place, work).await,
        None => work.await,
    }
}

/// Says of the current span that it has to do with another place in a trace.
pub(crate) fn link(place: TraceParent) {
    recorded::link_current(place);
}

/// Whether spans of this process are told to anybody.
pub(crate) fn is_exported() -> bool {
    recorded::is_exported()
}
