//! Worker processes: claim, run, record, renew, rescue.
//!
//! One [`Worker`] holds one lease at a time. Five tasks and a thread serve it: the claimer takes jobs while there
//! is room, apalis runs them, the recorder writes how they ended, the keeper promotes and rescues, the house does
//! what one worker does for all, and the lease is renewed on a thread and a connection of its own, which no handler can
//! starve. One more ends a worker that drains.

mod admission;
mod ageing;
mod attempt_span;
mod backend;
mod breakers;
mod claimer;
mod complaint;
mod config;
mod drain;
mod duty;
mod execute;
mod floor;
mod follow;
mod front;
mod house;
mod keeper;
mod lanes;
mod lease;
mod limited;
mod pace;
pub(crate) mod panic_trace;
mod patience;
mod pulse;
mod recorder;
mod register;
mod replan;
mod results;
mod runs;
mod session;
mod stop;
mod stray;
mod suspect;
mod undecided;
mod wakeup;
mod waking;

use std::{sync::Arc, time::Duration};

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{Kinds, isolated};

use drain::Drain;
use session::Program;

pub use config::WorkerConfig;
pub use drain::Drained;

/// Why a worker ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The configuration is nonsense.
    #[error("{0}")]
    Config(String),
    /// The database takes no worker with these kinds, systems or limits, and says why.
    #[error("the database does not take this worker: {0}")]
    Refused(String),
    /// This process was started for an isolated job, and its program went on to a worker instead.
    #[error("this process was started for an isolated job, and runs no worker: call engine::isolated::serve first thing in main")]
    StartedForJob,
    /// The thread that renews the lease could not be started.
    #[error("the lease thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
    /// Jobs are left, or nobody knows, after as long as [`Worker::drain`] was to take.
    #[error(
        "after {0:?} jobs are left, of which engine::store::why says what they wait for, or the database did not answer, as the log says"
    )]
    NotDrained(Duration),
}

/// A worker process: runs jobs of its kinds until it is told to stop.
///
/// ```no_run
/// use std::time::Duration;
/// use engine::{CancellationToken, Kinds, PgPool, Worker, WorkerConfig};
///
/// # async fn example(pool: PgPool, kinds: Kinds) -> Result<(), Box<dyn std::error::Error>> {
/// let config = WorkerConfig {
///     queues: vec!["mail".into()],
///     concurrency: 4,
///     grace: Duration::from_secs(60),
///     ..WorkerConfig::default()
/// };
/// let shutdown = CancellationToken::new();
/// let worker = tokio::spawn(Worker::new(pool, kinds, config).run(shutdown.clone()));
/// tokio::signal::ctrl_c().await?;
/// shutdown.cancel();
/// worker.await??;
/// # Ok(())
/// # }
/// ```
pub struct Worker {
    pool: PgPool,
    kinds: Kinds,
    config: WorkerConfig,
}

impl Worker {
    /// A worker of the database that `pool` connects to, from which it takes a connection to register and to sign off. It opens
    /// others of its own: a pool with the same options for its handlers, and six beside it, one each to claim, to record, to promote
    /// and rescue, to keep house, to renew the lease and to LISTEN; and a seventh in [`Worker::drain`].
    pub const fn new(pool: PgPool, kinds: Kinds, config: WorkerConfig) -> Self {
        Self { pool, kinds, config }
    }

    /// Runs until `shutdown`, then drains: starts nothing new, gives running jobs the grace period, releases the
    /// rest. A worker that is declared dead stops all it runs, writes nothing, and begins anew.
    ///
    /// # Errors
    /// Only what makes it impossible to begin: [`WorkerError`] says what. A database that is away, or has not the engine's tables, is
    /// waited for.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        live(self.program(None)?, shutdown).await
    }

    /// What its lives share, if it may begin one.
    fn program(self, drain: Option<Arc<Drain>>) -> Result<Arc<Program>, WorkerError> {
        // It would claim other isolated jobs, and start as many programs again.
        if isolated::is_child() {
            return Err(WorkerError::StartedForJob);
        }
        self.config.validate()?;
        panic_trace::install();
        Ok(Program::new(self.pool, self.kinds, self.config, drain))
    }
}

/// Lives one life after another until `shutdown`.
async fn live(program: Arc<Program>, shutdown: CancellationToken) -> Result<(), WorkerError> {
    while !shutdown.is_cancelled() {
        session::run(&program, &shutdown).await?;
    }
    Ok(())
}
