//! Couriers: what becomes of parcels on their way.

pub mod cold_chain;
mod handle_exception;
mod import_logger;
mod record_event;
pub mod temperature_log;
pub mod tracking_event;

pub use handle_exception::HandleException;
pub use import_logger::ImportLogger;
pub use record_event::RecordEvent;
