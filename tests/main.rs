//! All tests: one binary that mirrors the house.

mod allocation;
mod cli;
mod engine;
mod faults;
mod health;
mod migrations;
mod orders;
mod registry;
mod support;
mod webhooks;
mod workers;
