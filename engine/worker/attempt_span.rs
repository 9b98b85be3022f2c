//! The span of an attempt, where spans are told to somebody.

use crate::{
    store::{attempt::Verdict, claim::Claimed},
    trace::{self, Fact, Role, Span, TraceParent},
};

/// Begins the span of an attempt: a child of whoever enqueued the job, or the first of the job's own trace.
pub(super) fn begin(job: &Claimed, worker_id: i64) -> Span {
    let parent: Option<TraceParent> = job.trace_parent.as_deref().and_then(|header| header.parse().ok());
    if !trace::is_exported() {
        return Span::none(parent);
    }
    let trace_id = parent.as_ref().map_or_else(|| own_trace(job), TraceParent::trace_id);
    let span = Span::begin_as((trace_id, span_id(trace_id, job, job.attempt)), Role::Attempt, &job.kind, parent);
    span.note("job.id", Fact::Text(&job.job_id.to_string()));
    span.note("job.kind", Fact::Text(&job.kind));
    if let Some(queue) = &job.queue {
        span.note("job.queue", Fact::Text(queue));
    }
    span.note("job.attempt", Fact::Number(job.attempt.into()));
    span.note("worker.id", Fact::Text(&worker_id.to_string()));
    if job.attempt > 1
        && let Some(former) = TraceParent::new(trace_id, span_id(trace_id, job, job.attempt - 1), true)
    {
        span.link(former);
    }
    span
}

/// Ends it. Without a verdict the attempt is somebody else's.
pub(super) fn end(span: Span, verdict: Option<&Verdict>) {
    span.note("job.outcome", Fact::Text(verdict.map_or("lost", Verdict::outcome)));
    if let Some(Verdict::Failed { category, message, .. }) = verdict {
        span.note("job.category", Fact::Text(category.as_str()));
        span.failed(message);
    }
    drop(span);
}

/// The trace of a job that was enqueued in none: the same in each of its attempts, wherever they run.
fn own_trace(job: &Claimed) -> u128 {
    let made = job.created_at.map_or(0, |at| at.timestamp_micros()) as u64;
    let (high, low) = (mixed(job.job_id.0 as u64 ^ mixed(made)), mixed(made ^ mixed(job.job_id.0 as u64)));
    (u128::from(high) << 64 | u128::from(low)).max(1)
}

/// The span of an attempt, which whoever runs the next one can tell too.
fn span_id(trace_id: u128, job: &Claimed, attempt: i32) -> u64 {
    mixed(mixed(trace_id as u64 ^ job.job_id.0 as u64) ^ attempt as u64).max(1)
}

/// Spreads what is close together; each number has its own (the last steps of splitmix64).
const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
