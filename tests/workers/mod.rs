//! The long-running processes, step by step; as processes they are tested in `cli/processes.rs`.

mod metrics;
mod retry_policy;
mod scheduler;
