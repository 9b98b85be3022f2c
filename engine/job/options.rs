//! What was said of a job that is about to be enqueued, for the tests of whoever describes it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::{JobId, NewJob};
use crate::unique::Uniqueness;

/// What a job asks for besides its kind and its arguments: each field is what the method of [`NewJob`] of its name was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobOptions<'a> {
    /// The queue it goes to.
    pub queue: &'a str,
    /// 0 runs first, 9 last.
    pub priority: i16,
    /// The time before which it does not run.
    pub run_at: Option<DateTime<Utc>>,
    /// How long after it is enqueued it does not run.
    pub delay: Option<Duration>,
    /// When it is worth nothing any more.
    pub deadline: Option<DateTime<Utc>>,
    /// What keeps it from being made twice.
    pub unique: &'a Uniqueness,
    /// The producer, and its key for a retried enqueue.
    pub idempotency_key: Option<(&'a str, &'a str)>,
    /// Against the limit of which key it counts.
    pub limit_key: Option<&'a str>,
    /// The cap on its attempts.
    pub max_attempts: Option<i16>,
    /// The job on whose behalf it is made.
    pub parent: Option<JobId>,
    /// Whether it goes on as a child when its workflow is cancelled or dies.
    pub outlives_parent: bool,
}

/// What it asks for, to look at.
impl NewJob {
    /// The name of its kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its arguments as they are stored: JSON, with the version of their shape when it is not the first.
    pub fn args(&self) -> &RawValue {
        &self.args
    }

    /// What it asks for besides.
    ///
    /// ```
    /// use std::time::Duration;
    /// use engine::NewJob;
    /// # use engine::{Job, JobResult, Outcome, Run};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct SendReceipt { order: i64 }
    /// # impl Job for SendReceipt {
    /// #     const KIND: &'static str = "shop.send_receipt";
    /// #     const QUEUE: &'static str = "mail";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    ///
    /// fn receipt_of(order: i64) -> Result<NewJob, serde_json::Error> {
    ///     Ok(NewJob::of(&SendReceipt { order })?.delay(Duration::from_mins(10)).unique_args())
    /// }
    ///
    /// let receipt = receipt_of(7)?;
    /// assert_eq!((receipt.kind(), receipt.args().get()), ("shop.send_receipt", r#"{"order":7}"#));
    /// let asked = receipt.options();
    /// assert_eq!((asked.queue, asked.delay), ("mail", Some(Duration::from_mins(10))));
    /// assert!(asked.unique.by_args);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn options(&self) -> JobOptions<'_> {
        JobOptions {
            queue: &self.queue,
            priority: self.priority,
            run_at: self.run_at,
            delay: self.delay,
            deadline: self.deadline,
            unique: &self.unique,
            idempotency_key: self.idempotency_key.as_ref().map(|(producer, key)| (&**producer, &**key)),
            limit_key: self.limit_key.as_deref(),
            max_attempts: self.max_attempts,
            parent: self.parent,
            outlives_parent: self.outlives_parent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_of_a_job_can_be_looked_at() {
        let at = DateTime::UNIX_EPOCH;
        let args = RawValue::from_string("{}".into()).expect("it is JSON");
        let plain = NewJob::raw("demo.greet", args);
        let job = plain.clone().queue("mail").priority(2).run_at(at).deadline(at).max_attempts(3).limit_key("shop:7");
        let job = job.idempotency_key("checkout", "cart 1").unique_key("ada").replace().parent(JobId(4)).outlives_parent();
        assert_eq!((job.kind(), job.args().get()), ("demo.greet", "{}"));
        let asked = job.options();
        assert_eq!((asked.queue, asked.priority, asked.max_attempts), ("mail", 2, Some(3)));
        assert_eq!((asked.run_at, asked.delay, asked.deadline), (Some(at), None, Some(at)));
        assert_eq!((asked.idempotency_key, asked.limit_key), (Some(("checkout", "cart 1")), Some("shop:7")));
        assert_eq!((asked.parent, asked.outlives_parent), (Some(JobId(4)), true));
        assert_eq!((asked.unique.key.as_deref(), asked.unique.replaces, asked.unique.by_args), (Some("ada"), true, false));
        assert_ne!(asked, plain.options());
        assert_eq!(plain.options().unique, &Uniqueness::default());
    }
}
