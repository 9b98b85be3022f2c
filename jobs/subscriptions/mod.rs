//! Subscriptions, as Seal tells of them.

mod process_event;
pub mod seal_subscription;

pub use process_event::ProcessEvent;
