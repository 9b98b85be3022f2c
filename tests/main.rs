//! All tests: one binary that mirrors the house.

mod addresses;
mod alerts;
mod allocation;
mod api;
mod batches;
mod cli;
mod contracts;
mod couriers;
mod customers;
mod engine;
mod faults;
mod health;
mod lifecycle;
mod migrations;
mod monitors;
mod orders;
mod outbox;
mod packing;
mod registry;
mod roles;
mod sandbox;
mod stock;
mod subscriptions;
mod support;
mod webhooks;
mod workers;
