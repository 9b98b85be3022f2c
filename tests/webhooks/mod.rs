//! Webhooks, from a signed request to what the database says.

mod edge;
mod jsonb;
mod sandbox;
mod shopify;
