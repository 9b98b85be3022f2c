//! The seven monitors: their one shape, and the edge at which each begins to warn.

mod digest;
mod edges;
mod reconcile_stock;
mod run_monitor;
mod shape;
