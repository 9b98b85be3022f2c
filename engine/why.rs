//! Why a job has not started yet, in words and as data.

use std::fmt;

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

/// One thing that keeps a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum Reason {
    /// Operators hold its queue, kind or key.
    Paused(Pause),
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
    let stands = matches!(job.state.as_str(), "ready" | "scheduled" | "waiting");
    if stands && facts.serve == 0 {
        reasons.push(Reason::NoWorker { kind: job.kind.clone(), queue: job.queue.clone(), elsewhere: facts.know });
    }
    let held = !reasons.is_empty();
    if let (Some(by), Some(at)) = (job.cancel_by.clone(), job.cancel_at) {
        reasons.push(Reason::CancelRequested { by, at });
    }
    let (reason, start) = own(&job, facts, held);
    reasons.extend(reason);
    let Standing { id, kind, queue, state, at, .. } = job;
    Why { id, kind, queue, state, at, reasons, estimated_start: if held { None } else { start } }
}

/// What its own place says, and when it should start by that.
fn own(job: &Standing, facts: &Facts, held: bool) -> (Option<Reason>, Option<DateTime<Utc>>) {
    let ended =
        || Reason::Ended { outcome: job.state.clone(), at: job.finished_at, category: job.category.clone(), error: job.error.clone() };
    match job.state.as_str() {
        "scheduled" => scheduled(job),
        "waiting" => {
            let (cap, taken, ahead) = facts.key.unwrap_or_default();
            let key = job.limit_key.clone().unwrap_or_default();
            (Some(Reason::Limit { key, cap, taken, place: ahead + 1 }), facts.pace.after(ahead, job.at))
        }
        "ready" => match facts.ahead {
            Some((of_higher_priority, before)) if of_higher_priority + before > 0 => {
                (Some(Reason::InLine { of_higher_priority, before }), facts.pace.after(before, job.at))
            }
            _ => ((!held).then_some(Reason::Next), Some(job.at)),
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

fn scheduled(job: &Standing) -> (Option<Reason>, Option<DateTime<Utc>>) {
    let Some(run_at) = job.run_at else { return (None, None) };
    if run_at <= job.at {
        return (Some(Reason::Due { run_at, alone: job.alone }), Some(job.at));
    }
    (Some(Reason::NotDue { run_at, after: job.error.clone() }), Some(run_at))
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

fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} is paused", self.scope, self.name)?;
        if let Some(since) = self.since {
            write!(f, " since {}", moment(since))?;
        }
        match self.until {
            Some(until) => write!(f, " until {}", moment(until))?,
            None => write!(f, " until somebody resumes it")?,
        }
        write!(f, ", by {}", self.paused_by)?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused(pause) => pause.fmt(f),
            Self::NoWorker { kind, elsewhere: 0, .. } => write!(f, "no live worker knows kind {kind}"),
            Self::NoWorker { kind, queue, elsewhere } => {
                write!(f, "no live worker of kind {kind} serves queue {queue}; {elsewhere} of that kind serve other queues")
            }
            Self::NotDue { run_at, after: None } => write!(f, "it is not due until {}", moment(*run_at)),
            Self::NotDue { run_at, after: Some(error) } => {
                write!(f, "it is not due until {}: it is tried again after `{}`", moment(*run_at), first_line(error))
            }
            Self::Due { run_at, alone: false } => write!(f, "it is due since {} and will be moved to ready in a moment", moment(*run_at)),
            Self::Due { run_at, alone: true } => {
                write!(f, "workers died with it, so since {} it waits for one that runs nothing else", moment(*run_at))
            }
            Self::Limit { key, cap: 0, place, .. } => {
                write!(f, "it is number {place} of those that wait for key {key}, which gives no slots")
            }
            Self::Limit { key, cap, taken, place } => {
                write!(f, "limit of key {key} is at {taken}/{cap}, and it is number {place} of those that wait")
            }
            Self::Parked { waits_for, event, key, since, until } => {
                match (event, key) {
                    (Some(event), Some(key)) => write!(f, "it waits for event {event} with key `{key}`")?,
                    _ => write!(f, "it waits for its {waits_for}")?,
                }
                since.map_or(Ok(()), |since| write!(f, " since {}", moment(since)))?;
                until.map_or(Ok(()), |until| write!(f, ", until {} at most", moment(until)))
            }
            Self::InLine { of_higher_priority: 0, before } => write!(f, "{before} jobs of its kind and priority are before it"),
            Self::InLine { of_higher_priority, before } => {
                write!(f, "{of_higher_priority} jobs of higher priority and {before} of its own kind and priority are before it")
            }
            Self::Next => write!(f, "it is next: a worker takes it as soon as one has room"),
            Self::Running { worker_id, worker, since } => {
                write!(f, "it runs on worker {worker_id}")?;
                worker.as_ref().map_or(Ok(()), |name| write!(f, " ({name})"))?;
                since.map_or(Ok(()), |since| write!(f, " since {}", moment(since)))
            }
            Self::Ended { outcome, at, category, error } => {
                write!(f, "it ended as {outcome}")?;
                at.map_or(Ok(()), |at| write!(f, " at {}", moment(at)))?;
                category.as_ref().map_or(Ok(()), |category| write!(f, ", {category}"))?;
                error.as_ref().map_or(Ok(()), |error| write!(f, ": {}", first_line(error)))
            }
            Self::CancelRequested { by, at } => write!(f, "{by} asked at {} that it be cancelled", moment(*at)),
            Self::Missing => write!(f, "it stands nowhere and has not ended, which is a fault: run `rawops doctor`"),
            Self::Elsewhere { state } => write!(f, "it is {state}"),
        }
    }
}

/// An id as JSON shows it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
pub(crate) fn as_text<S: serde::Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
