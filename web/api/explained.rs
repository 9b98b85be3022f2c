//! The schema of `engine::why::Why`, which is what `GET /v1/jobs/{id}/why` answers.
//!
//! The engine makes no schemas, so its members stand here a second time; the tests hold real answers to them, member by member.

#![expect(dead_code, reason = "only their schemas are used")]

use schemars::JsonSchema;

/// What keeps a job, or what became of it.
#[derive(JsonSchema)]
pub(super) struct ExplainedJob {
    /// The job.
    id: String,
    /// Its kind.
    kind: String,
    /// Its queue.
    queue: String,
    /// Where it stands: a state as in `GET /v1/jobs/{id}`.
    state: String,
    /// When this was so, by the database's clock.
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// What keeps it; all that does, the most lasting first. Of a job that runs or has ended, that.
    reasons: Vec<Reason>,
    /// When it should start, at the pace of the jobs before it; null when something holds it or nothing is known.
    #[schemars(extend("format" = "date-time"))]
    estimated_start: Option<String>,
}

/// One thing that keeps a job.
#[derive(JsonSchema)]
#[schemars(tag = "because", rename_all = "snake_case")]
enum Reason {
    /// Operators hold its queue, kind or key.
    Paused(Pause),
    /// The outside system that its kind calls is down, or held to be.
    Breaker(Breaker),
    /// No live worker takes it.
    NoWorker {
        /// Its kind.
        kind: String,
        /// Its queue.
        queue: String,
        /// Live workers that know the kind and serve other queues.
        elsewhere: i64,
    },
    /// It is scheduled.
    NotDue {
        /// When it is due.
        #[schemars(extend("format" = "date-time"))]
        run_at: String,
        /// The error of the attempt that it retries.
        after: Option<String>,
    },
    /// It is due and was not promoted yet.
    Due {
        /// Since when.
        #[schemars(extend("format" = "date-time"))]
        run_at: String,
        /// Whether it waits for a worker that runs nothing else, because workers died with it.
        alone: bool,
    },
    /// Its limit key has no free slot for it yet.
    Limit {
        /// The key.
        key: String,
        /// How many of its jobs may be in ready or run at once.
        cap: i32,
        /// How many are.
        taken: i64,
        /// Its place among those that wait, from 1.
        place: i64,
    },
    /// It is a workflow that waits.
    Parked {
        /// What for: event or children.
        waits_for: String,
        /// The event's name.
        event: Option<String>,
        /// The event's key.
        key: Option<String>,
        /// Since when.
        #[schemars(extend("format" = "date-time"))]
        since: Option<String>,
        /// When it gives up.
        #[schemars(extend("format" = "date-time"))]
        until: Option<String>,
    },
    /// Its queue or kind runs as many jobs as it may.
    AtLimit(Bound),
    /// Of the rate of its queue, kind or key nothing is left for it at this moment.
    AtRate(Bound),
    /// Others come first.
    InLine {
        /// Jobs of its queue with a higher priority.
        of_higher_priority: i64,
        /// Jobs of its kind and priority that came before.
        before: i64,
    },
    /// It is next.
    Next,
    /// It runs.
    Running {
        /// The worker.
        worker_id: String,
        /// What the worker is called.
        worker: Option<String>,
        /// Since when that worker holds it.
        #[schemars(extend("format" = "date-time"))]
        since: Option<String>,
    },
    /// It has ended.
    Ended {
        /// How.
        outcome: String,
        /// When.
        #[schemars(extend("format" = "date-time"))]
        at: Option<String>,
        /// The error category.
        category: Option<String>,
        /// The error, or the reason of a cancel.
        error: Option<String>,
    },
    /// Somebody asked it to stop.
    CancelRequested {
        /// Who.
        by: String,
        /// When.
        #[schemars(extend("format" = "date-time"))]
        at: String,
    },
    /// It stands nowhere and has not ended, which is a fault.
    Missing,
    /// It stands in a place that this program knows nothing of.
    Elsewhere {
        /// The place.
        state: String,
    },
}

/// A queue, a kind or a key that operators hold.
#[derive(JsonSchema)]
struct Pause {
    /// queue, kind or key.
    scope: String,
    /// Its name; of a key perhaps the beginning, with a `*`.
    name: String,
    /// Since when, if that is known.
    #[schemars(extend("format" = "date-time"))]
    since: Option<String>,
    /// Until when; null: until somebody resumes it.
    #[schemars(extend("format" = "date-time"))]
    until: Option<String>,
    /// Who paused it.
    paused_by: String,
    /// Why.
    reason: Option<String>,
}

/// The breaker of an outside system that is not closed.
#[derive(JsonSchema)]
struct Breaker {
    /// The outside system.
    system: String,
    /// open, or half_open while one job is on its way to find out.
    state: String,
    /// Since when.
    #[schemars(extend("format" = "date-time"))]
    since: String,
    /// When the next job may go as a probe.
    #[schemars(extend("format" = "date-time"))]
    probe_at: Option<String>,
    /// The operator that holds it open.
    held_by: Option<String>,
    /// Why.
    reason: Option<String>,
    /// What went wrong last.
    last_error: Option<String>,
}

/// A limit as it is at this moment.
#[derive(JsonSchema)]
struct Bound {
    /// queue, kind or key.
    scope: String,
    /// Its name; of a key, the key.
    name: String,
    /// How many run at once.
    cap: Option<i32>,
    /// How many do.
    taken: i64,
    /// How many are let go in any span of `per_ms`.
    rate: Option<i32>,
    /// The span that the rate is of, in milliseconds.
    per_ms: Option<i64>,
    /// How many seconds the rate asks to wait.
    wait_s: Option<f64>,
}
