//! Couriers: scans of parcels.

pub mod handle_exception;
pub mod import_logger;
pub mod record_event;
