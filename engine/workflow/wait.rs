//! Sleeping, and waiting for events: the attempt ends, and the workflow runs again when it is time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;

use super::course::{Act, Met};
use crate::{
    Failure, JobResult, Run,
    store::{
        clock, event,
        parked::Suspension,
        step::{self, At, Kept},
    },
    trace,
};

/// How long a workflow steps aside for somebody who emits its event in a long transaction.
const ASIDE: Duration = Duration::from_secs(1);

impl Run {
    /// Sleeps for some time, ten years at most. It burns no attempt and holds no worker meanwhile.
    ///
    /// ```
    /// use std::time::Duration;
    /// use engine::{JobResult, Run, Tx};
    ///
    /// async fn welcome(run: &mut Run) -> JobResult<()> {
    ///     run.step("welcome", async |tx| write(tx, "welcome").await).await?;
    ///     run.sleep("until they have looked around", Duration::from_hours(72)).await?;
    ///     run.step("tips", async |tx| write(tx, "tips").await).await
    /// }
    /// # async fn write(_: &mut Tx, _: &str) -> JobResult<()> { Ok(()) }
    /// ```
    ///
    /// # Errors
    /// While it sleeps: hand it on with `?`, the attempt ends there. Otherwise as [`Run::step`].
    pub async fn sleep(&mut self, name: &str, time: Duration) -> JobResult<()> {
        self.sleep_by(name, millis(time), None).await
    }

    /// Sleeps until a time by the database's clock; not at all when it has passed.
    ///
    /// # Errors
    /// As [`Run::sleep`].
    pub async fn sleep_until(&mut self, name: &str, until: DateTime<Utc>) -> JobResult<()> {
        self.sleep_by(name, 0, Some(until)).await
    }

    async fn sleep_by(&mut self, name: &str, ms: i64, until: Option<DateTime<Utc>>) -> JobResult<()> {
        let until = match self.meet(Act::Sleep, name).await? {
            // Whatever came after it came after its end.
            Met::Known(_) if self.course.goes_on() => None,
            Met::Known(kept) => kept.until,
            Met::New(position) => {
                let mut tx = self.begin().await?;
                let until = step::sleep(&mut tx, self.at(position, name), ms, until).await?;
                self.commit_or_doubt(tx).await?;
                // Passed only when it is over: should the question fail, this act may be tried again in this attempt.
                self.course.forget();
                self.unless_passed(until).await?;
                self.course.pass(None);
                return Ok(());
            }
        };
        if let Some(until) = until {
            self.unless_passed(until).await?;
        }
        self.course.pass(None);
        Ok(())
    }

    async fn unless_passed(&self, until: DateTime<Utc>) -> JobResult<()> {
        if step::passed(&mut *self.pool.acquire().await?, until).await? {
            return Ok(());
        }
        Err(self.course.suspend(Suspension::Until(until)))
    }

    /// Waits for the next event of a name and correlation key: the first one that this workflow has not received yet,
    /// also when it came before. `None` when none came within `timeout`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use engine::{Failure, JobResult, Run};
    ///
    /// async fn approval(run: &mut Run, order: &str) -> JobResult<()> {
    ///     let approved: Option<bool> = run.wait_event("approval", order, Duration::from_hours(24)).await?;
    ///     match approved {
    ///         Some(true) => Ok(()),
    ///         Some(false) => Err(Failure::business_rule(format!("order {order} was refused"))),
    ///         None => Err(Failure::business_rule(format!("nobody looked at order {order} for a day"))),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// While it waits: hand it on with `?`, the attempt ends there. `validation` when the payload is not what is
    /// expected; otherwise as [`Run::step`].
    pub async fn wait_event<T: DeserializeOwned>(
        &mut self,
        name: &str,
        key: &str,
        timeout: impl Into<Option<Duration>>,
    ) -> JobResult<Option<T>> {
        let kept = match self.meet(Act::Wait, name).await? {
            Met::Known(kept) if kept.key.as_deref() != Some(key) => return Err(other_key(&kept, key)),
            Met::Known(kept) if kept.ended => {
                // It is passed whatever its payload is: as it was when it came.
                self.course.pass(None);
                let received = kept.event_id.is_some().then_some(kept.result.as_deref().unwrap_or("null"));
                return received.map(|payload| expected(name, key, payload)).transpose();
            }
            Met::Known(kept) => Ok(kept),
            Met::New(position) => Err((position, timeout.into().map(millis))),
        };
        let received = self.look(name, key, kept).await?;
        received.map(|payload| expected(name, key, &payload)).transpose()
    }

    /// Looks for the event, and takes note that it waits when there is none: under the lock that emitters take.
    async fn look(&self, name: &str, key: &str, kept: Result<Kept, (i32, Option<i64>)>) -> JobResult<Option<String>> {
        let after = self.course.last_event(name, key);
        let mut tx = self.begin().await?;
        if !event::meet(&mut tx, name, key).await? {
            return Err(self.step_aside().await?);
        }
        let (at, until) = match kept {
            Ok(kept) => (self.at(kept.position, name), kept.until),
            Err((position, timeout_ms)) => {
                let at = self.at(position, name);
                (at, step::wait(&mut tx, at, Some(key), timeout_ms).await?)
            }
        };
        let next = event::next(&mut tx, name, key, after, until).await?;
        if next.id.is_none() && !next.late {
            event::wait(&mut tx, self.job_id, name, key, after).await?;
            self.commit_or_doubt(tx).await?;
            return Err(self.course.suspend(Suspension::Event(until)));
        }
        if let Some(trace) = next.trace_parent.and_then(|header| header.parse().ok()) {
            trace::link(trace);
        }
        let received = next.id.zip(next.payload);
        let (event_id, payload) = received.as_ref().map(|(id, payload)| (*id, payload.as_str())).unzip();
        step::receive(&mut tx, at, event_id, payload).await?;
        event::stop_waiting(&mut tx, self.job_id).await?;
        self.commit_or_doubt(tx).await?;
        self.course.pass(Some(Kept { key: Some(key.into()), event_id, ..self::kept(at, Act::Wait) }));
        Ok(received.map(|(_, payload)| payload))
    }

    /// Comes back later: somebody emits the event in a transaction that takes long.
    pub(super) async fn step_aside(&self) -> JobResult<Failure> {
        let now = clock::now(&self.pool).await?;
        Ok(self.course.suspend(Suspension::Until(now + ASIDE)))
    }

    pub(super) async fn commit_or_doubt(&self, tx: crate::Tx) -> JobResult<()> {
        tx.decide("run/commit").await.inspect_err(|_| self.course.doubt())
    }
}

pub(super) fn kept(at: At<'_>, act: Act) -> Kept {
    Kept {
        position: at.position,
        attempt: at.attempt,
        kind: act.as_str().into(),
        name: at.name.into(),
        ended: true,
        until: None,
        key: None,
        event_id: None,
        result: None,
    }
}

pub(super) fn millis(time: Duration) -> i64 {
    time.as_millis().min(i64::MAX as u128) as i64
}

pub(super) fn expected<T: DeserializeOwned>(name: &str, key: &str, payload: &str) -> JobResult<T> {
    serde_json::from_str(payload).map_err(|error| {
        Failure::validation(format!("the payload of event `{name}` of key `{key}` is not what the workflow expects: {error}"))
    })
}

pub(super) fn other_key(kept: &Kept, key: &str) -> Failure {
    Failure::bug(format!(
        "step {} of this workflow waits for event `{}` of key `{}` in its history and of key `{key}` in its code: the code changed while it was on its way",
        kept.position,
        kept.name,
        kept.key.as_deref().unwrap_or("")
    ))
}
