//! What customers did, told to Customer.io.

mod track_event;
