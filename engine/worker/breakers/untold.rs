//! What is on its way to the database, and whose arrival nobody knows of yet.

use super::{Breakers, Change, Ends, Probed, add};

/// What was taken out of memory to be told. Dropped before it is known to have arrived, as when no answer comes in time, it goes back and
/// is told again: better counted twice than never.
pub(super) struct Untold<'a> {
    breakers: &'a Breakers,
    pub(super) ends: Vec<Ends>,
    pub(super) probed: Vec<Probed>,
}

impl<'a> Untold<'a> {
    pub(super) const fn new(breakers: &'a Breakers, ends: Vec<Ends>, probed: Vec<Probed>) -> Self {
        Self { breakers, ends, probed }
    }

    /// Whether any of it says that a system failed.
    pub(super) fn has_failures(&self) -> bool {
        self.ends.iter().any(|end| end.category.is_some())
    }

    /// It has arrived, and changed this.
    pub(super) fn arrived(mut self, changes: &[Change]) {
        self.probed.clear();
        self.breakers.forget(&std::mem::take(&mut self.ends), changes);
    }
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        let mut known = self.breakers.known();
        for end in self.ends.drain(..) {
            add(&mut known.ends, end);
        }
        known.probed.append(&mut self.probed);
    }
}
