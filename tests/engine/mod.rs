//! The engine, feature by feature; `storage.rs` holds one test for each fault of the storage's prototype.

mod jobs;
mod statements;
mod storage;
