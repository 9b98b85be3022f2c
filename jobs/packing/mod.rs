//! Packing: how each box is kept cold on its way, and on which day it may leave.

pub mod areas;
mod calculate_instructions;
pub mod calendar;
pub mod decide;
pub mod destination;
mod facts;
mod judge_check;
mod plan_pack_day;
pub mod postcode;
pub mod rules;

pub use calculate_instructions::{CalculateInstructions, Came};
pub use judge_check::JudgeCheck;
pub use plan_pack_day::PlanPackDay;
