//! The engine, feature by feature; `storage.rs` holds one test for each fault of the storage's prototype.

pub mod alone;
mod cancels;
mod dead_letters;
mod deadlines;
mod edges;
mod enqueue;
mod figures;
mod hand;
mod jobs;
mod retry_policy;
mod retry_simulation;
mod schedule_edits;
mod schedule_oracle;
mod schedule_times;
mod schedules;
mod shared;
mod snoozes;
pub mod statements;
mod storage;
mod storage_upkeep;
mod together;
mod told;
mod uniqueness;
mod uniqueness_races;
mod workflow_events;
mod workflows;
