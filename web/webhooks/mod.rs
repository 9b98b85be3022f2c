//! Webhooks: one file per vendor, and what all of them need.

mod adapter;
pub mod body;
mod claim;
pub mod courier;
pub mod customerio;
pub mod jsonb;
pub mod packer;
pub mod seal;
pub mod shopify;
pub mod signature;
