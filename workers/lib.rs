//! The long-running processes, one file each, and what they read from the environment.
//!
//! Each has a `Config` that checks itself and a `run` that ends after its shutdown. `rawops up` runs all three in one
//! process; the Procfile runs one a process.

pub mod scheduler;
pub mod schema;
mod settings;
pub mod web;
pub mod worker;

pub use settings::ConfigError;
