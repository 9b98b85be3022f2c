//! Why a job has not started yet, in words and as data.
//!
//! ```no_run
//! # async fn example(pool: sqlx::PgPool, id: engine::JobId) -> Result<(), engine::StoreError> {
//! let why = engine::store::why::why(&pool, id).await?;
//! for reason in &why.reasons {
//!     println!("{reason}");
//! }
//! # Ok(())
//! # }
//! ```

mod words;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::{
    JobId,
    store::why::{Facts, Standing},
};

/// What keeps a job, or what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Why {
    /// The job.
    pub id: JobId,
    /// Its kind.
    pub kind: String,
    /// Its queue.
    pub queue: String,
    /// Where it stands: as in [`crate::store::job::Standing::state`].
    pub state: String,
    /// When this was so, by the database's clock.
    pub at: DateTime<Utc>,
    /// What keeps it; all that does, the most lasting first. Of a job that runs or has ended, that.
    pub reasons: Vec<Reason>,
    /// When it should start, at the pace of the jobs before it; `None` when something holds it or nothing is known.
    pub estimated_start: Option<DateTime<Utc>>,
}

/// A queue, a kind or a key that operators hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Pause {
    /// `queue`, `kind` or `key`.
    pub scope: String,
    /// Its name; of a key perhaps the beginning, with a `*`.
    pub name: String,
    /// Since when, if that is known.
    pub since: Option<DateTime<Utc>>,
    /// Until when; `None` until somebody resumes it.
    pub until: Option<DateTime<Utc>>,
    /// Who paused it.
    pub paused_by: String,
    /// Why.
    pub reason: Option<String>,
}

/// A breaker that is not closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Breaker {
    /// The outside system.
    pub system: String,
    /// `open`, or `half_open` while one job is on its way to find out.
    pub state: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When the next job may go as a probe.
    pub probe_at: Option<DateTime<Utc>>,
    /// The operator that holds it open.
    pub held_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// One thing that keeps a job.
///
/// ```
/// use engine::why::Reason;
///
/// let reason = Reason::InLine { of_higher_priority: 0, before: 3 };
/// assert_eq!(reason.to_string(), "3 jobs of its kind and priority are before it");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum Reason {
    /// Operators hold its queue, kind or key.
    Paused(Pause),
    /// The outside system that its kind calls is down, or held to be: see [`crate::store::breaker`].
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
        run_at: DateTime<Utc>,
        /// The error of the attempt that it retries.
        after: Option<String>,
    },
    /// It is due and was not promoted yet.
    Due {
        /// Since when.
        run_at: DateTime<Utc>,
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
        /// `event` or `children`.
        waits_for: String,
        /// The event's name.
        event: Option<String>,
        /// The event's key.
        key: Option<String>,
        /// Since when.
        since: Option<DateTime<Utc>>,
        /// When it gives up.
        until: Option<DateTime<Utc>>,
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
        #[serde(serialize_with = "crate::why::as_text")]
        worker_id: i64,
        /// What the worker is called.
        worker: Option<String>,
        /// Since when that worker holds it.
        since: Option<DateTime<Utc>>,
    },
    /// It has ended.
    Ended {
        /// How.
        outcome: String,
        /// When.
        at: Option<DateTime<Utc>>,
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
        at: DateTime<Utc>,
    },
    /// It stands nowhere and has not ended: a fault, see `rawops doctor`.
    Missing,
    /// It stands in a place that this program knows nothing of.
    Elsewhere {
        /// The place.
        state: String,
    },
}

/// A limit as it is at this moment.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct Bound {
    /// `queue`, `kind` or `key`.
    pub scope: String,
    /// Its name; of a key, the key.
    pub name: String,
    /// How many run at once.
    pub cap: Option<i32>,
    /// How many do.
    pub taken: i64,
    /// How many are let go in any span of `per_ms`.
    pub rate: Option<i32>,
    /// The time that the rate is of, in milliseconds.
    pub per_ms: Option<i64>,
    /// How many seconds the rate asks to wait.
    pub wait_s: Option<f64>,
}

impl Bound {
    /// What it says of a job that it limits.
    fn reasons(self) -> impl Iterator<Item = Reason> {
        let full = self.scope != "key" && self.cap.is_some_and(|cap| self.taken >= i64::from(cap));
        let slow = self.wait_s.is_some_and(|wait| wait > 0.0);
        let slowed = slow.then(|| Reason::AtRate(self.clone()));
        full.then_some(Reason::AtLimit(self)).into_iter().chain(slowed)
    }
}

/// How fast jobs began lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, sqlx::FromRow)]
pub(crate) struct Pace {
    pub(crate) began: i64,
    /// Since the first of them.
    pub(crate) seconds: Option<f64>,
}

impl Pace {
    /// When a job with so many before it begins; `None` when too few began to say.
    fn after(self, jobs: i64, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let seconds = self.seconds.filter(|seconds| *seconds > 0.0 && self.began >= 3)?;
        let wait = (jobs + 1) as f64 * seconds / self.began as f64;
        now.checked_add_signed(TimeDelta::milliseconds((wait * 1000.0).min(1e15) as i64))
    }
}

/// Puts the facts into reasons.
pub(crate) fn reasons(job: Standing, facts: &Facts) -> Why {
    let mut reasons: Vec<Reason> = facts.pauses.iter().cloned().map(Reason::Paused).collect();
    reasons.extend(facts.breakers.iter().cloned().map(Reason::Breaker));
    let stands = matches!(job.state.as_str(), "ready" | "scheduled" | "waiting");
    if stands && facts.serve == 0 {
        reasons.push(Reason::NoWorker { kind: job.kind.clone(), queue: job.queue.clone(), elsewhere: facts.know });
    }
    let held = !reasons.is_empty();
    // What is full at this moment may not be when it is due.
    let (not_due, due) = not_due(&job).unzip();
    reasons.extend(not_due);
    reasons.extend(facts.bounds.iter().cloned().flat_map(Bound::reasons));
    if let (Some(by), Some(at)) = (job.cancel_by.clone(), job.cancel_at) {
        reasons.push(Reason::CancelRequested { by, at });
    }
    let bound = reasons.iter().any(|reason| matches!(reason, Reason::AtLimit(_) | Reason::AtRate(_)));
    let (reason, start) = if due.is_some() { (None, due) } else { own(&job, facts, held, bound) };
    reasons.extend(reason);
    let Standing { id, kind, queue, state, at, .. } = job;
    Why { id, kind, queue, state, at, reasons, estimated_start: if held { None } else { start } }
}

/// What its own place says, and when it should start by that.
fn own(job: &Standing, facts: &Facts, held: bool, bound: bool) -> (Option<Reason>, Option<DateTime<Utc>>) {
    let ended =
        || Reason::Ended { outcome: job.state.clone(), at: job.finished_at, category: job.category.clone(), error: job.error.clone() };
    match job.state.as_str() {
        "scheduled" => (job.run_at.map(|run_at| Reason::Due { run_at, alone: job.alone }), (!bound).then_some(job.at)),
        "waiting" => {
            let (cap, taken, ahead) = facts.key.unwrap_or_default();
            let key = job.limit_key.clone().unwrap_or_default();
            (Some(Reason::Limit { key, cap, taken, place: ahead + 1 }), facts.pace.after(ahead, job.at))
        }
        "ready" => match facts.ahead {
            Some((of_higher_priority, before)) if of_higher_priority + before > 0 => {
                (Some(Reason::InLine { of_higher_priority, before }), facts.pace.after(before, job.at))
            }
            _ => ((!held && !bound).then_some(Reason::Next), (!bound).then_some(job.at)),
        },
        "running" => {
            let (worker_id, worker, since) = (job.worker_id.unwrap_or_default(), job.worker_name.clone(), job.claimed_at);
            (Some(Reason::Running { worker_id, worker, since }), None)
        }
        "completed" | "cancelled" | "dead" => (Some(ended()), None),
        "parked" => (Some(parked(job)), None),
        "missing" => (Some(Reason::Missing), None),
        other => (Some(Reason::Elsewhere { state: other.to_string() }), None),
    }
}

/// That it is not due, and when it is.
fn not_due(job: &Standing) -> Option<(Reason, DateTime<Utc>)> {
    let run_at = job.run_at.filter(|run_at| job.state == "scheduled" && *run_at > job.at)?;
    Some((Reason::NotDue { run_at, after: job.error.clone() }, run_at))
}

fn parked(job: &Standing) -> Reason {
    Reason::Parked {
        waits_for: job.waits_for.clone().unwrap_or_default(),
        event: job.event.clone(),
        key: job.event_key.clone(),
        since: job.parked_at,
        until: job.run_at,
    }
}

/// An id as JSON shows it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
pub(crate) fn as_text<S: serde::Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
