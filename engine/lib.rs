//! Durable jobs on PostgreSQL.
//!
//! A job is described once, in the caller's transaction, and stands in exactly one place until an attempt of
//! it ends for good. What ends it is a row in a ledger whose key, job and attempt, is the fence: of a late
//! worker, a rescue and a cancel, one wins and the others see that they lost.
//!
//! ```no_run
//! use engine::{Client, Job, JobResult, Kinds, NewJob, Outcome, Run, Worker, WorkerConfig};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Greet { name: String }
//!
//! impl Job for Greet {
//!     const KIND: &'static str = "demo.greet";
//!     async fn run(&self, _run: &mut Run) -> JobResult {
//!         println!("Hello, {}", self.name);
//!         Ok(Outcome::done())
//!     }
//! }
//!
//! # async fn demo(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
//! Client::new(pool.clone()).enqueue(&NewJob::of(&Greet { name: "Ada".into() })?).await?;
//! Worker::new(pool, Kinds::new().with::<Greet>(), WorkerConfig::default()).run(Default::default()).await?;
//! # Ok(()) }
//! ```

mod arguments;
mod client;
mod ending;
#[cfg(feature = "failpoints")]
pub mod failpoint;
#[cfg(not(feature = "failpoints"))]
mod failpoint;
mod failure;
mod job;
mod kinds;
mod limit;
pub mod metrics;
#[cfg(feature = "planted")]
pub mod planted;
#[cfg(not(feature = "planted"))]
mod planted;
pub mod retry;
mod run;
pub mod schedule;
mod shared;
pub mod store;
mod together;
mod unique;
pub mod why;
mod worker;
mod workflow;

pub use arguments::Undecodable;
pub use client::{Client, enqueue_copy_in, enqueue_in, enqueue_many_in};
pub use ending::Ending;
pub use failure::{Category, Failure};
pub use job::{Enqueued, Job, JobId, JobResult, NewJob, Outcome};
pub use kinds::{KindInfo, Kinds};
pub use limit::Limit;
pub use run::{Run, Tx};
pub use store::{StoreError, child::Endings, event::Emitted};
pub use together::Together;
pub use worker::{Worker, WorkerConfig, WorkerError};
pub use workflow::{Batched, Child, Children, emit_in, enqueue_batch_in};
