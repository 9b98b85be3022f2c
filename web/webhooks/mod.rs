//! Webhooks: one file per vendor, and what all of them need.

pub mod body;
pub mod customerio;
pub mod jsonb;
pub mod shopify;
pub mod signature;
