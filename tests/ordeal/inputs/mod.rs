//! Bad inputs by the hundred thousand, drawn from a seed.

pub mod webhooks;
