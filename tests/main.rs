//! All tests: one binary that mirrors the house.

mod allocation;
mod engine;
mod migrations;
mod orders;
mod support;
mod webhooks;
