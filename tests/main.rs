//! All tests: one binary that mirrors the house.

mod engine;
mod support;
