//! What a run asks of the engine: programs from producers, orders from a shop, acts of operators.

pub mod draw;
pub mod letters;
pub mod mails;
pub mod operators;
pub mod policy;
pub mod producer;
pub mod restarts;
pub mod schedules;
pub mod shop;
pub mod slow;
pub mod versions;
pub mod ways;
