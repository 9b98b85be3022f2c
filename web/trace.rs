//! The trace of a request: what it enqueues and emits belongs to the trace that its header `traceparent` names.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use engine::trace::{self, TraceParent};

/// The header of W3C's recommendation "Trace Context".
pub(crate) const TRACE_PARENT: &str = "traceparent";

/// Answers a request for the trace that it says. What is no such header, and two of them, are as none: a trace is no reason
/// to refuse a request.
pub(crate) async fn follow(request: Request, next: Next) -> Response {
    trace::within(parent(&request), next.run(request)).await
}

fn parent(request: &Request) -> Option<TraceParent> {
    let mut values = request.headers().get_all(TRACE_PARENT).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok()?.parse().ok(),
        _ => None,
    }
}
