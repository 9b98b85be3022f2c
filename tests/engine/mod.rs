//! The engine, feature by feature; `storage.rs` holds one test for each fault of the storage's prototype.

mod dead_letters;
mod edges;
mod enqueue;
mod hand;
mod jobs;
pub mod statements;
mod storage;
mod storage_upkeep;
mod together;
mod told;
