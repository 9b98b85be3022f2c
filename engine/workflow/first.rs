//! Waiting for the first of several things: the end of a child, an event, a time.

use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    children::{Child, place_of},
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
                // It is passed whatever its payload is: as it was when it came.
                let first = match &kept.result {
                    None => Ok(First::Late),
                    Some(payload) if kept.event_id.is_some() => expected(name, key.unwrap_or_default(), payload).map(First::Event),
                    Some(ended) => {
                        let Ended { child } = serde_json::from_str(ended)?;
                        let (place, ending) = self.end_of(name, child, children).await?;
                        Ok(First::Child(place, ending))
                    }
                };
                self.course.pass(None);
                return first;
            }
            Met::Known(kept) => Ok(kept),
            Met::New(position) => Err((position, timeout.map(millis))),
        };
        Ok(match self.look_for_first((name, key), children, open).await? {
            First::Child(place, ending) => First::Child(place, ending),
            First::Event(payload) => First::Event(expected(name, key.unwrap_or_default(), &payload)?),
            First::Late => First::Late,
        })
    }

    /// Looks for all of them, and takes note that it waits when nothing has come. The payload of an event is as it is kept.
    async fn look_for_first(
        &self,
        (name, key): (&str, Option<&str>),
        children: &[&Child],
        open: Result<Kept, (i32, Option<i64>)>,
    ) -> JobResult<First<String>> {
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
        let came = match child::first(&mut tx, self.job_id, &positions).await? {
            Some((child, ending)) => {
                step::receive(&mut tx, at, None, Some(&serde_json::to_string(&Ended { child })?)).await?;
                First::Child(place_of(name, child, children)?, ending)
            }
            None if next.id.is_none() && !next.late => {
                if let Some(key) = key {
                    event::wait(&mut tx, self.job_id, name, key, after).await?;
                }
                self.commit_or_doubt(tx).await?;
                return Err(self.course.suspend(Suspension::First(positions, until)));
            }
            None => {
                let payload = next.payload.filter(|_| next.id.is_some());
                step::receive(&mut tx, at, next.id, payload.as_deref()).await?;
                payload.map_or(First::Late, First::Event)
            }
        };
        let event_id = next.id.filter(|_| matches!(came, First::Event(_)));
        event::stop_waiting(&mut tx, self.job_id).await?;
        self.commit_or_doubt(tx).await?;
        self.passed(at, key, event_id);
        Ok(came)
    }

    fn passed(&self, at: At<'_>, key: Option<&str>, event_id: Option<i64>) {
        self.course.pass(Some(Kept { key: key.map(Into::into), event_id, ..kept(at, Act::Wait) }));
    }
}
