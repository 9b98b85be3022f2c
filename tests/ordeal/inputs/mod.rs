//! Bad inputs by the hundred thousand, drawn from a seed: each is taken as it is, or refused with one sentence, and none
//! does harm to another.

pub mod api;
pub mod rows;
pub mod sql;
pub mod text;
pub mod values;
pub mod webhooks;

use std::fmt;

/// What came of a series of inputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many were tried.
    pub tried: u64,
    /// How many were taken, and came out as they had gone in.
    pub taken: u64,
    /// How many were refused, in words.
    pub refused: u64,
}

/// Something that was judged wrongly, which ends a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What had come of the series until then, with what was judged wrongly among what was tried.
    pub counts: Counts,
    /// What, in words.
    pub words: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, after {} tried", self.words, self.counts.tried)
    }
}

impl Counts {
    /// What a series with these counts came to.
    fn ended(self, came: Result<(), String>) -> Result<Self, Wrong> {
        came.map(|()| self).map_err(|words| Wrong { counts: self, words })
    }
}
