//! All tests: one binary that mirrors the house.

mod allocation;
mod api;
mod batches;
mod cli;
mod engine;
mod faults;
mod health;
mod migrations;
mod monitors;
mod orders;
mod registry;
mod roles;
mod sandbox;
mod stock;
mod support;
mod webhooks;
mod workers;
