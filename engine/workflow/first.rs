//! Waiting for the first of several things: the end of a child, an event, a time.

use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    children::Child,
    course::{Act, Met},
    wait::{expected, kept, millis, other_key},
};
use crate::{
    Ending, Failure, JobId, JobResult, Run,
    store::{
        child, event,
        parked::Suspension,
        step::{self, At, Kept},
    },
};

/// What a workflow that waited for several things goes on with.
#[derive(Debug, Clone, PartialEq)]
pub enum First<T> {
    /// The child at this place among them ended, in this way.
    Child(usize, Ending),
    /// The event came, with this payload.
    Event(T),
    /// Neither did in time.
    Late,
}

/// What is kept of such a wait when a child ended first.
#[derive(Serialize, Deserialize)]
struct Ended {
    child: JobId,
}

impl Run {
    /// As [`Run::join_any`], for some time: `None` when none of them has ended by then. All go on; they can be joined later.
    ///
    /// # Errors
    /// As [`Run::join_any`].
    pub async fn join_any_within(&mut self, name: &str, children: &[&Child], timeout: Duration) -> JobResult<Option<(usize, Ending)>> {
        if children.is_empty() {
            return Err(Failure::validation(format!("`{name}` waits for one of no children")));
        }
        Ok(match self.first::<serde_json::Value>(name, None, children, Some(timeout)).await? {
            First::Child(place, ending) => Some((place, ending)),
            First::Event(_) | First::Late => None,
        })
    }

    /// Waits for the end of one of these children, for the next event of a name and correlation key, as
    /// [`Run::wait_event`] does, or for a time: whatever comes first. What has not come can be waited for again. Of a child
    /// that has ended and an event that is there the child is first.
    ///
    /// # Errors
    /// As [`Run::join_any`] and [`Run::wait_event`].
    pub async fn wait_first<T: DeserializeOwned>(
        &mut self,
        name: &str,
        key: &str,
        children: &[&Child],
        timeout: impl Into<Option<Duration>>,
    ) -> JobResult<First<T>> {
        self.first(name, Some(key), children, timeout.into()).await
    }

    async fn first<T: DeserializeOwned>(
        &self,
        name: &str,
        key: Option<&str>,
        children: &[&Child],
        timeout: Option<Duration>,
    ) -> JobResult<First<T>> {
        let open = match self.meet(Act::Wait, name).await? {
            Met::Known(kept) if kept.key.as_deref() != key => return Err(other_key(&kept, key.unwrap_or_default())),
            Met::Known(kept) if kept.ended => {
                let first = self.what_came(name, key, children, (kept.event_id.is_some(), kept.result.as_deref())).await?;
                self.course.pass(None);
                return Ok(first);
            }
            Met::Known(kept) => Ok(kept),
            Met::New(position) => Err((position, timeout.map(millis))),
        };
        let (is_event, result) = self.look_for_first((name, key), children, open).await?;
        self.what_came(name, key, children, (is_event, result.as_deref())).await
    }

    /// Looks for all of them, and takes note that it waits when nothing has come: whether it was the event, and what is kept.
    async fn look_for_first(
        &self,
        (name, key): (&str, Option<&str>),
        children: &[&Child],
        open: Result<Kept, (i32, Option<i64>)>,
    ) -> JobResult<(bool, Option<String>)> {
        let positions: Vec<i32> = children.iter().map(|child| child.position()).collect();
        let after = key.map_or(0, |key| self.course.last_event(name, key));
        let mut tx = self.begin().await?;
        if let Some(key) = key
            && !event::meet(&mut tx, name, key).await?
        {
            return Err(self.step_aside().await?);
        }
        let (at, until) = match open {
            Ok(kept) => (self.at(kept.position, name), kept.until),
            Err((position, timeout_ms)) => {
                let at = self.at(position, name);
                (at, step::wait(&mut tx, at, key, timeout_ms).await?)
            }
        };
        // Without an event nothing has this key, and only the time is looked at.
        let next = event::next(&mut tx, name, key.unwrap_or_default(), if key.is_some() { after } else { i64::MAX }, until).await?;
        let (event_id, result) = match child::first(&mut tx, self.job_id, &positions).await? {
            Some((child, _)) => (None, Some(serde_json::to_string(&Ended { child })?)),
            None if next.id.is_none() && !next.late => {
                if let Some(key) = key {
                    event::wait(&mut tx, self.job_id, name, key, after).await?;
                }
                self.commit_or_doubt(tx).await?;
                return Err(self.course.suspend(Suspension::First(positions, until)));
            }
            None => (next.id, next.payload.filter(|_| next.id.is_some())),
        };
        step::receive(&mut tx, at, event_id, result.as_deref()).await?;
        event::stop_waiting(&mut tx, self.job_id).await?;
        self.commit_or_doubt(tx).await?;
        self.passed(at, key, event_id);
        Ok((event_id.is_some(), result))
    }

    fn passed(&self, at: At<'_>, key: Option<&str>, event_id: Option<i64>) {
        self.course.pass(Some(Kept { key: key.map(Into::into), event_id, ..kept(at, Act::Wait) }));
    }

    /// What is kept of a wait that has ended, as the workflow takes it.
    async fn what_came<T: DeserializeOwned>(
        &self,
        name: &str,
        key: Option<&str>,
        children: &[&Child],
        (is_event, result): (bool, Option<&str>),
    ) -> JobResult<First<T>> {
        let Some(result) = result else { return Ok(First::Late) };
        if is_event {
            return expected(name, key.unwrap_or_default(), result).map(First::Event);
        }
        let Ended { child: first } = serde_json::from_str(result)?;
        let gone = || Failure::bug(format!("`{name}` waited for child {first} before, and does not now"));
        let place = children.iter().position(|child| child.job_id() == first).ok_or_else(gone)?;
        let endings = child::endings(&mut *self.pool.acquire().await?, self.job_id, children[place].position()).await?;
        let (_, ending) = endings.into_iter().next().ok_or_else(gone)?;
        Ok(First::Child(place, ending))
    }
}
