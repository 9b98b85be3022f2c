//! What no job has, refused before the database is asked: what that refuses takes the caller's transaction with it.

use super::NewJob;
use crate::StoreError;

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
        Ok(())
    }
}
