//! The engine, feature by feature; `storage.rs` holds one test for each fault of the storage's prototype.

mod edges;
mod hand;
mod jobs;
mod schedule_edits;
mod schedule_oracle;
mod schedule_times;
mod schedules;
mod statements;
mod storage;
mod storage_upkeep;
