//! What a program says about limits of queues, kinds and keys; operators may change each of them while it runs (`rawops limits`).

use std::time::Duration;

/// A limit over the whole fleet, declared with [`crate::Job::LIMITS`] or [`crate::Kinds::limit`].
///
/// ```
/// use std::time::Duration;
/// use engine::{Limit, Rate};
/// const LIMITS: &[Limit] = &[
///     // Two jobs of each shop at once, whatever their kind, and forty in any minute.
///     Limit::of_key("shop:*").at_once(2).rate(Rate::new(40, Duration::from_secs(60))),
///     // The jobs of each of these keys one after the other.
///     Limit::of_key("audit:*").at_once(1).in_order(),
///     // Five exports at once in the whole fleet.
///     Limit::of_kind("reports.export").at_once(5),
/// ];
/// assert_eq!(LIMITS[0].name(), "shop:*");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub(crate) scope: &'static str,
    pub(crate) name: &'static str,
    pub(crate) cap: Option<i32>,
    pub(crate) in_order: bool,
    pub(crate) rate: Option<Rate>,
    pub(crate) weight: i32,
}

/// So many jobs in any span of a period.
///
/// ```
/// use std::time::Duration;
/// use engine::Rate;
///
/// const MINUTE: Duration = Duration::from_mins(1);
/// // Forty in any minute: three at once, and the others as time goes by.
/// assert_eq!(Rate::new(40, MINUTE), Rate::new(40, MINUTE).burst(3));
/// // One by one, over the whole minute.
/// assert_eq!(Rate::new(40, MINUTE).burst(1).jobs(), 40);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many are let go.
    pub(crate) jobs: i32,
    /// In which time, in milliseconds.
    pub(crate) per_ms: i64,
    /// How many of them at once.
    pub(crate) burst: i32,
}

impl Rate {
    /// So many jobs in any span of `per`, one and a twentieth of them at once.
    ///
    /// # Panics
    /// For less than one job or more than 1,000,000, or a time shorter than 100 ms or longer than a year.
    pub const fn new(jobs: u32, per: Duration) -> Self {
        assert!(jobs >= 1 && jobs <= 1_000_000, "a rate is of 1 to 1,000,000 jobs");
        assert!(per.as_millis() >= 100 && per.as_millis() <= 31_536_000_000, "a rate is per 100 ms to a year");
        let burst = 1 + jobs / 20;
        Self { jobs: jobs as i32, per_ms: per.as_millis() as i64, burst: if burst > jobs { jobs as i32 } else { burst as i32 } }
    }

    /// How many are let go.
    pub const fn jobs(&self) -> u32 {
        self.jobs as u32
    }

    /// So many of them at once; the others follow the more evenly for it.
    ///
    /// # Panics
    /// For none, or more than the rate.
    #[must_use]
    pub const fn burst(mut self, jobs: u32) -> Self {
        assert!(jobs >= 1 && jobs as i32 <= self.jobs, "a burst is from 1 job to the whole rate");
        self.burst = jobs as i32;
        self
    }
}

impl Limit {
    /// A limit of the jobs with this limit key; with a final `*`, of each key that begins so. Of several, the longest
    /// name decides. A key without any limit has 100 jobs at once, so that it cannot keep others from their turn.
    pub const fn of_key(name: &'static str) -> Self {
        Self::of("key", name)
    }

    /// A limit of the jobs of a kind, over the whole fleet.
    pub const fn of_kind(name: &'static str) -> Self {
        Self::of("kind", name)
    }

    /// A limit of the jobs of a queue, over the whole fleet.
    pub const fn of_queue(name: &'static str) -> Self {
        Self::of("queue", name)
    }

    const fn of(scope: &'static str, name: &'static str) -> Self {
        Self { scope, name, cap: None, in_order: false, rate: None, weight: 1 }
    }

    /// So many are let go in any span of a time, never more, however workers crash. See [`Rate`].
    #[must_use]
    pub const fn rate(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// How much of any rate a job of this kind takes, from 1 to 1,000; of a smaller burst, all.
    ///
    /// # Panics
    /// For another number, and where it limits no kind: a mistake in the program, found when it is compiled.
    #[must_use]
    pub const fn weight(mut self, weight: u16) -> Self {
        assert!(weight >= 1 && weight <= 1000, "a weight is from 1 to 1,000");
        assert!(matches!(self.scope.as_bytes(), b"kind"), "kinds have a weight");
        self.weight = weight as i32;
        self
    }

    /// At most so many of its jobs run at once, from 1 to 10,000.
    ///
    /// # Panics
    /// For another number: a mistake in the program, found when it is compiled.
    #[must_use]
    pub const fn at_once(mut self, jobs: u16) -> Self {
        assert!(jobs >= 1 && jobs <= 10_000, "a limit is from 1 to 10,000 jobs at once");
        self.cap = Some(jobs as i32);
        self
    }

    /// A job that failed, snoozes, or waits in a workflow keeps its place until it ends: with one job at once, none overtakes it,
    /// however long it sleeps. So what it waits for must not come from a later job of its key. A workflow with an open child makes
    /// way: the child, or what that waits for, may be of the key and could never run.
    ///
    /// # Panics
    /// Where it limits no key: a mistake in the program, found when it is compiled.
    #[must_use]
    pub const fn in_order(mut self) -> Self {
        assert!(matches!(self.scope.as_bytes(), b"key"), "keys have an order");
        self.in_order = true;
        self
    }

    /// What it limits.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}
