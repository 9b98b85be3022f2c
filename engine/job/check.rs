//! What no job has, refused before the database is asked: what that refuses takes the caller's transaction with it.

use std::time::Duration;

use super::NewJob;
use crate::StoreError;

/// Ten years.
const LONGEST_DELAY: Duration = Duration::from_hours(24 * 3653);

impl NewJob {
    /// Refuses numbers that are none, and options that do not go together, as `engine.enqueue` does.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let refuse = |what: &str| Err(StoreError::Refused(format!("a job of kind {}: {what}", self.kind)));
        if !(0..=9).contains(&self.priority) {
            return refuse("its priority is a number from 0, which runs first, to 9");
        }
        if self.max_attempts.is_some_and(|attempts| attempts < 1) {
            return refuse("its most attempts are a number from 1");
        }
        if self.delay.is_some_and(|delay| delay > LONGEST_DELAY) {
            return refuse("its delay is ten years at most");
        }
        self.check_uniqueness().or_else(refuse)
    }

    fn check_uniqueness(&self) -> Result<(), &'static str> {
        let unique = &self.unique;
        if unique.is_special() && unique.key.is_none() && !unique.by_args {
            return Err("what it is unique by is not said: call unique_key or unique_args");
        }
        if unique.period.is_some() && (unique.until_started || unique.debounce.is_some()) {
            return Err("what is unique for a time is so whether it has started or not: leave out unique_until_started and debounce");
        }
        let Some((wait, at_most)) = unique.debounce else { return Ok(()) };
        if wait.is_zero() || at_most < wait {
            return Err("a debounce is a positive time, and the longest no shorter");
        }
        if self.run_at.is_some() || self.delay.is_some() {
            return Err("when it runs follows from its debounce: leave out run_at and delay");
        }
        Ok(())
    }
}
