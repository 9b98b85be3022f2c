//! Durable jobs on PostgreSQL.
//!
//! A job is described once, in the caller's transaction, and stands in exactly one place until an attempt of
//! it ends for good. What ends it is a row in a ledger whose key, job and attempt, is the fence: of a late
//! worker, a rescue and a cancel, one wins and the others see that they lost.
#![doc = include_str!("README.md")]

mod arguments;
mod client;
mod ending;
#[cfg(feature = "failpoints")]
pub mod failpoint;
#[cfg(not(feature = "failpoints"))]
mod failpoint;
mod failure;
pub mod isolated;
mod job;
mod jsonb;
mod kinds;
mod limit;
pub mod metrics;
#[cfg(feature = "planted")]
pub mod planted;
#[cfg(not(feature = "planted"))]
mod planted;
mod pool;
pub mod pooler;
pub mod retry;
mod run;
pub mod schedule;
mod schema;
mod shared;
pub mod sqlstate;
pub mod store;
mod together;
pub mod trace;
mod tx;
mod unique;
pub mod why;
mod worker;
mod workflow;

pub use arguments::Undecodable;
pub use client::{Client, enqueue_copy_in, enqueue_in, enqueue_many_in};
pub use ending::Ending;
pub use failure::{Category, Failure};
pub use isolated::Isolation;
pub use job::{Enqueued, Job, JobId, JobOptions, JobResult, NewJob, Outcome};
pub use kinds::{KindInfo, Kinds};
pub use limit::{Limit, Rate};
pub use pool::pool_options;
pub use run::{Run, StopReason};
pub use store::{StoreError, child::Endings, event::Emitted};
pub use together::Together;
pub use tx::Tx;
pub use unique::Uniqueness;
pub use worker::{Drained, Worker, WorkerConfig, WorkerError};
pub use workflow::{Batched, Child, Children, First, emit_in, enqueue_batch_in};

// What this crate's own functions take and give.
pub use chrono_tz::Tz;
pub use sqlx::PgPool;
pub use tokio_util::sync::CancellationToken;
