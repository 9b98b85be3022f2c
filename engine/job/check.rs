//! What no job has, refused before the database is asked: what that refuses takes the caller's transaction with it.

use std::time::Duration;

use super::NewJob;
use crate::StoreError;

/// Ten years.
const LONGEST_DELAY: Duration = Duration::from_hours(24 * 3653);

impl NewJob {
    /// Refuses numbers that are none.
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
        Ok(())
    }
}
