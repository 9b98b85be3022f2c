//! Couriers: what becomes of parcels on their way.

mod record_event;
pub mod tracking_event;

pub use record_event::RecordEvent;
