//! Bad inputs by the hundred thousand, drawn from a seed: each is taken as it is, or refused with one sentence, and none
//! does harm to another.

pub mod api;
pub mod rows;
pub mod sql;
pub mod text;
pub mod values;
pub mod webhooks;

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
