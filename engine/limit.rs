//! What a program says about limits; operators may change each of them while it runs (`rawops limits`).

/// A limit over the whole fleet, declared with [`crate::Job::LIMITS`] or [`crate::Kinds::limit`].
///
/// ```
/// use engine::Limit;
/// // Two jobs of each shop at once, whatever their kind, and each shop's jobs one after the other for `audit:`.
/// const LIMITS: &[Limit] = &[Limit::of_key("shop:*").at_once(2), Limit::of_key("audit:*").at_once(1).in_order()];
/// assert_eq!(LIMITS[0].name(), "shop:*");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub(crate) scope: &'static str,
    pub(crate) name: &'static str,
    pub(crate) cap: Option<i32>,
    pub(crate) in_order: bool,
}

impl Limit {
    /// A limit of the jobs with this limit key; with a final `*`, of each key that begins so. Of several, the longest
    /// name decides. A key without any limit has 100 jobs at once, so that it cannot keep others from their turn.
    pub const fn of_key(name: &'static str) -> Self {
        Self { scope: "key", name, cap: None, in_order: false }
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

    /// A job that failed, or snoozes, keeps its place until its next attempt: with one job at once, none overtakes it.
    #[must_use]
    pub const fn in_order(mut self) -> Self {
        self.in_order = true;
        self
    }

    /// What it limits.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}
