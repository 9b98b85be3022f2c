//! The real binary: what its commands print, with which exit code, and what they refuse.

mod address;
mod bad_inputs;
mod breakers;
mod dead;
mod doctor;
mod enqueue;
mod jobs;
mod migrate;
mod orders;
mod payloads;
mod processes;
pub mod program;
mod queues;
mod retention;
mod retry;
mod schedules;
mod spans;
mod up;
mod up_private;
mod why;
mod workers;
mod workflows;
