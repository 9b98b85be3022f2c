//! How a job is kept from being made twice: by which key, for how long, and what becomes of the one that has it.

use std::time::Duration;

use crate::NewJob;

/// What a new job is unique by, and what it does to the job that is there already.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uniqueness {
    pub(crate) key: Option<String>,
    pub(crate) by_args: bool,
    pub(crate) period: Option<Duration>,
    pub(crate) until_started: bool,
    pub(crate) replaces: bool,
    /// How long to wait for another, and how long at most in all.
    pub(crate) debounce: Option<(Duration, Duration)>,
}

impl Uniqueness {
    /// Whether it asks for more than that no live job has the key: then a job is not made in bulk.
    pub(crate) const fn is_special(&self) -> bool {
        self.period.is_some() || self.until_started || self.replaces || self.debounce.is_some()
    }
}

/// Uniqueness. A job whose key is held is not made: the answer is the job that holds it, and `created` is false.
impl NewJob {
    /// At most one live job of this kind has this key.
    #[must_use]
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.unique.key = Some(key.into());
        self
    }

    /// At most one live job of this kind has these arguments.
    #[must_use]
    pub const fn unique_args(mut self) -> Self {
        self.unique.by_args = true;
        self
    }

    /// Nor is another one of the key made for so long after this one, whatever became of it.
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
    #[must_use]
    pub const fn replace(mut self) -> Self {
        self.unique.replaces = true;
        self
    }

    /// Waits for the last of many: it runs `wait` from now, and one of the same key that comes before then replaces it and
    /// waits anew, but never longer than `at_most` after the first of them.
    #[must_use]
    pub const fn debounce(mut self, wait: Duration, at_most: Duration) -> Self {
        self.unique.debounce = Some((wait, at_most));
        self
    }
}
