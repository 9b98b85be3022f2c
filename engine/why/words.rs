//! Reasons as sentences.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{Bound, Breaker, Pause, Reason};

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

impl fmt::Display for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "breaker {} is {} since {}", self.system, if self.state == "open" { "open" } else { "half open" }, moment(self.since))?;
        match (&self.held_by, self.probe_at) {
            (Some(by), _) => {
                write!(f, ", held by {by} until `rawops breakers auto`")?;
                self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
            }
            (None, Some(at)) => {
                write!(f, ", the next probe goes at {}", moment(at))?;
                self.last_error.as_ref().map_or(Ok(()), |error| write!(f, "; the last error was `{}`", first_line(error)))
            }
            (None, None) => write!(f, ", and a probe is on its way"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused(pause) => pause.fmt(f),
            Self::Breaker(breaker) => breaker.fmt(f),
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
            Self::AtLimit(Bound { scope, name, cap, taken, .. }) => {
                write!(f, "limit of {scope} {name} is at {taken}/{}", cap.unwrap_or_default())
            }
            Self::AtRate(Bound { scope, name, rate, per_ms, wait_s, .. }) => {
                let (rate, seconds) = (rate.unwrap_or_default(), per_ms.unwrap_or_default() as f64 / 1000.0);
                write!(
                    f,
                    "of {scope} {name} no more than {rate} are let go in any {seconds} s; the next in {:.1} s",
                    wait_s.unwrap_or_default()
                )
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
