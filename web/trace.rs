//! The trace of a request: what it enqueues and emits belongs to the trace that its header `traceparent` names, and has with it what
//! `tracestate` says.

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use engine::trace::{Fact, Role, Span, TraceParent};

/// The header of W3C's recommendation "Trace Context".
pub(crate) const TRACE_PARENT: &str = "traceparent";
const TRACE_STATE: &str = "tracestate";

/// Answers a request for the trace that it says. What is no such header, and two of them, are as none: a trace is no reason
/// to refuse a request.
pub(crate) async fn follow(request: Request, next: Next) -> Response {
    let span = span_of(&request);
    let response = span.around(next.run(request)).await;
    span.note("http.response.status_code", Fact::Number(response.status().as_u16().into()));
    if response.status().is_server_error() {
        span.failed(response.status());
    }
    response
}

/// Questions of monitors are no spans.
fn span_of(request: &Request) -> Span {
    let parent = parent(request.headers());
    match request.extensions().get::<MatchedPath>().map(MatchedPath::as_str) {
        Some(route) if !["/healthz", "/readyz", "/metrics"].contains(&route) => {
            let span = Span::begin(Role::Server, format_args!("{} {route}", request.method()), parent);
            span.note("http.request.method", Fact::Text(request.method().as_str()));
            span.note("http.route", Fact::Text(route));
            span
        }
        _ => Span::none(parent),
    }
}

fn parent(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all(TRACE_PARENT).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let parent: TraceParent = value.to_str().ok()?.parse().ok()?;
    // Several are one list.
    let states: Result<Vec<&str>, _> = headers.get_all(TRACE_STATE).iter().map(HeaderValue::to_str).collect();
    Some(parent.with_state(&states.unwrap_or_default().join(",")))
}
