//! Couriers: scans of parcels.

mod record_event;
