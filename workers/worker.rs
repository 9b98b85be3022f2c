//! The process `worker`: runs jobs of every kind, and shows its figures where it is asked to.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use engine::{Worker, WorkerConfig, WorkerError};
use jobs::clients::{self, OutsideError};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    schema::{self, SchemaError},
    settings::{ConfigError, Reader},
};

/// Connections beside those of handlers: claimer, recorder, keeper, house, listener, lease, and one to spare.
const OWN_CONNECTIONS: u32 = 7;

/// Settings of a worker process.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// How it works.
    pub worker: WorkerConfig,
    /// Where `/metrics` is served, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// Where the outside systems are, and the keys to them.
    pub clients: clients::Settings,
}

/// Why a worker process ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings are not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database's schema is another one.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// `METRICS_BIND` cannot be listened on.
    #[error("cannot serve metrics on {0}: {1}; set METRICS_BIND to a free address of this machine")]
    Metrics(SocketAddr, std::io::Error),
    /// The clients of outside systems cannot be set up.
    #[error(transparent)]
    Outside(#[from] OutsideError),
    /// The engine could not begin.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

impl Config {
    /// Reads the process environment.
    ///
    /// # Errors
    /// Every setting that is not usable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads settings by name; an empty value counts as absent.
    ///
    /// # Errors
    /// Every setting that is not usable.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let clients = clients::Settings::read(&lookup);
        let mut reader = Reader::new(lookup);
        let mut worker = WorkerConfig::default();
        if let Some(name) = reader.text("WORKER_NAME") {
            worker.name = name;
        }
        if let Some(queues) = reader.text("WORKER_QUEUES") {
            worker.queues = queues.split(',').map(|queue| queue.trim().to_string()).filter(|queue| !queue.is_empty()).collect();
        }
        if let Some(concurrency) = reader.parsed("WORKER_CONCURRENCY", "a number of jobs, like 16") {
            worker.concurrency = concurrency;
        }
        if let Some(batch) = reader.parsed("WORKER_BATCH", "a number of jobs, like 500") {
            worker.batch = batch;
        }
        if let Some(milliseconds) = reader.parsed("WORKER_LEASE_MS", "a number of milliseconds, like 2000") {
            worker.lease = Duration::from_millis(milliseconds);
        }
        if let Some(seconds) = reader.parsed("WORKER_GRACE_SECONDS", "a number of seconds, like 20") {
            worker.grace = Duration::from_secs(seconds);
        }
        if let Some(listen) = reader.parsed("WORKER_LISTEN", "true or false") {
            worker.listen = listen;
        }
        // Behind it every transaction may be on another session, and a notice belongs to one.
        if reader.text("DATABASE_POOLER").as_deref() == Some("transaction") {
            worker.listen = false;
        }
        let metrics = reader.parsed("METRICS_BIND", "address and port, like 127.0.0.1:9464");
        if let Err(error) = worker.validate() {
            reader.problem(error);
        }
        let clients = clients.unwrap_or_else(|error| {
            for problem in error.0 {
                reader.problem(problem);
            }
            clients::Settings::default()
        });
        reader.finish(Self { worker, metrics, clients })
    }

    /// Checks settings that were put together in code.
    ///
    /// # Errors
    /// What is not usable.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.worker.validate().map_err(|error| ConfigError { problems: vec![error.to_string()] })
    }

    /// Connections to the database that one worker process uses at most.
    pub fn connections(&self) -> u32 {
        u32::try_from(self.worker.concurrency).unwrap_or(u32::MAX).saturating_add(OWN_CONNECTIONS)
    }
}

/// Runs jobs until `shutdown`, then drains. A database that is away is waited for.
///
/// # Errors
/// What keeps it from beginning; nothing was touched then.
pub async fn run(config: Config, pool: PgPool, shutdown: CancellationToken) -> Result<(), Error> {
    config.validate()?;
    let kinds = jobs::calling(&config.clients)?;
    let metrics = match config.metrics {
        Some(address) => Some(tokio::net::TcpListener::bind(address).await.map_err(|error| Error::Metrics(address, error))?),
        None => None,
    };
    if !schema::wait_until_current(&pool, &shutdown).await? {
        return Ok(());
    }
    if let Some(listener) = metrics {
        let router = Router::new().route("/metrics", get(show_metrics)).with_state(pool.clone());
        tokio::spawn(web::run(listener, router, shutdown.clone()));
    }
    Ok(Worker::new(pool, kinds, config.worker).run(shutdown).await?)
}

async fn show_metrics(State(pool): State<PgPool>) -> impl IntoResponse {
    engine::metrics::render(&pool).await.map_err(|error| {
        tracing::warn!(%error, "the metrics cannot be shown");
        (StatusCode::SERVICE_UNAVAILABLE, "the database cannot be asked\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_setting_is_named_at_once() {
        let set = |name: &str| match name {
            "WORKER_CONCURRENCY" => Some("many".to_string()),
            "WORKER_LEASE_MS" => Some("5".to_string()),
            "METRICS_BIND" => Some("here".to_string()),
            _ => None,
        };
        let problems = Config::read(set).expect_err("three settings are wrong").problems;
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].starts_with("WORKER_CONCURRENCY is \"many\"; expected"));
        assert!(problems[1].starts_with("METRICS_BIND is \"here\"; expected"));
        assert!(problems[2].contains("lease"));
    }

    #[test]
    fn nothing_need_be_set() {
        let config = Config::read(|_| Some(String::new())).expect("an empty value counts as absent");
        assert_eq!(config.worker.concurrency, WorkerConfig::default().concurrency);
        assert!(config.metrics.is_none());
    }
}
