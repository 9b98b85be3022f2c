//! All tests: one binary that mirrors the house.

mod allocation;
mod engine;
mod faults;
mod migrations;
mod orders;
mod support;
mod webhooks;
