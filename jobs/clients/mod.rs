//! The outside systems: one folder a vendor, and `http`, the one client that all of them call through.

pub mod customerio;
pub mod forecast;
pub mod http;
mod outside;
pub mod packer;
pub mod seal;
mod secret;
pub mod shopify;
pub mod slack;

pub use outside::{Outside, OutsideError, Settings, SettingsError};
pub use secret::Secret;
