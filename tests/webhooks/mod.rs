pub mod edge;
mod jsonb;
mod sandbox;
mod shopify;
