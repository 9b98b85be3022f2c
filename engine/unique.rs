//! How a job is kept from being made twice: by which key, for how long, and what becomes of the one that has it.

use std::time::Duration;

use crate::NewJob;

/// What a new job is unique by, and what it does to the job that is there already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uniqueness {
    /// [`NewJob::unique_key`].
    pub key: Option<String>,
    /// [`NewJob::unique_args`].
    pub by_args: bool,
    /// [`NewJob::unique_for`].
    pub period: Option<Duration>,
    /// [`NewJob::unique_until_started`].
    pub until_started: bool,
    /// [`NewJob::replace`].
    pub replaces: bool,
    /// [`NewJob::debounce`]: how long to wait for another, and how long at most in all.
    pub debounce: Option<(Duration, Duration)>,
}

impl Uniqueness {
    /// Whether it asks for more than that no live job has the key: then a job is not made in bulk.
    pub(crate) const fn is_special(&self) -> bool {
        self.period.is_some() || self.until_started || self.replaces || self.debounce.is_some()
    }
}

/// Uniqueness. A job whose key is held is not made: the answer is the job that holds it, and `created` is false.
///
/// What does not go together is refused when the job is enqueued, as [`crate::StoreError::Refused`]: each of the others needs
/// [`NewJob::unique_key`] or [`NewJob::unique_args`]; what is unique for a time is neither debounced nor unique until it starts; and
/// what is debounced has no [`NewJob::run_at`] and no [`NewJob::delay`].
impl NewJob {
    /// At most one live job of this kind has this key.
    ///
    /// ```no_run
    /// # use engine::{Client, Job, JobResult, NewJob, Outcome, Run};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Reindex { product: i64 }
    /// # impl Job for Reindex {
    /// #     const KIND: &'static str = "shop.reindex";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let job = NewJob::of(&Reindex { product: 7 })?.unique_key("product 7");
    /// let first = client.enqueue(&job).await?;
    /// // It has not ended: this is the same one.
    /// let second = client.enqueue(&job).await?;
    /// assert!(first.created && !second.created && second.id == first.id);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.unique.key = Some(key.into());
        self
    }

    /// At most one live job of this kind has these arguments. They count, and not the key, if [`NewJob::unique_key`] is said too.
    #[must_use]
    pub const fn unique_args(mut self) -> Self {
        self.unique.by_args = true;
        self
    }

    /// Nor is another one of the key made for so long after this one, whatever became of it.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// # use engine::{Client, Job, JobResult, NewJob, Outcome, Run};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Reindex { product: i64 }
    /// # impl Job for Reindex {
    /// #     const KIND: &'static str = "shop.reindex";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// // Once an hour at most, however often it is asked for.
    /// client.enqueue(&NewJob::of(&Reindex { product: 7 })?.unique_args().unique_for(Duration::from_hours(1))).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn unique_for(mut self, period: Duration) -> Self {
        self.unique.period = Some(period);
        self
    }

    /// The key is held only until the job starts: another may be made while it runs. Should it fail then, it is not
    /// tried again, since the other one comes after it. Who is told that one waits keeps it from starting until he commits, so that it
    /// sees what he wrote.
    #[must_use]
    pub const fn unique_until_started(mut self) -> Self {
        self.unique.until_started = true;
        self
    }

    /// A job that holds the key and does not run is cancelled, and this one takes its place; a workflow that has begun is not.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// # use engine::{Client, Job, JobResult, NewJob, Outcome, Run};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Reindex { product: i64 }
    /// # impl Job for Reindex {
    /// #     const KIND: &'static str = "shop.reindex";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// // In six hours from now, and not at the time that was said before.
    /// client.enqueue(&NewJob::of(&Reindex { product: 7 })?.unique_args().replace().delay(Duration::from_hours(6))).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn replace(mut self) -> Self {
        self.unique.replaces = true;
        self
    }

    /// Waits for the last of many: it runs `wait` from now, and one of the same key that comes before then replaces it and
    /// waits anew, but never longer than `at_most` after the first of them. `wait` is more than nothing, and `at_most` no shorter.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// # use engine::{Client, Job, JobResult, NewJob, Outcome, Run};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Reindex { product: i64 }
    /// # impl Job for Reindex {
    /// #     const KIND: &'static str = "shop.reindex";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// // Five seconds after the last change of the product, and within a minute of the first.
    /// let (wait, at_most) = (Duration::from_secs(5), Duration::from_mins(1));
    /// client.enqueue(&NewJob::of(&Reindex { product: 7 })?.unique_args().debounce(wait, at_most)).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn debounce(mut self, wait: Duration, at_most: Duration) -> Self {
        self.unique.debounce = Some((wait, at_most));
        self
    }
}
