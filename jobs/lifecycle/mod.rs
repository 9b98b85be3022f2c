//! Lifecycle: what customers did, told to Customer.io, whose campaigns start from it.

mod track_event;

pub use track_event::TrackEvent;
