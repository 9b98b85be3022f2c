//! Webhooks, from a signed request to what the database says.

mod courier;
mod customerio;
pub mod edge;
mod jsonb;
mod packer;
pub mod reconcile;
mod retry;
mod sandbox;
mod seal;
mod shopify;
mod topics;
