//! How a worker makes itself known.

use std::time::Duration;

use sqlx::{PgPool, postgres::PgConnectOptions};
use tokio_util::sync::CancellationToken;

use super::{WorkerError, session::Program};
use crate::{
    sqlstate,
    store::{breaker, kind, lane, limit, worker as store},
};

/// How to connect under a worker's name.
pub(super) fn named(pool: &PgPool, worker_id: i64) -> PgConnectOptions {
    (*pool.connect_options()).clone().application_name(&store::session_name(worker_id))
}

/// Waits until the database answers and registers; `None` when the shutdown came first.
///
/// # Errors
/// What the database says of a name or a limit that the program declares: it would say the same for ever.
pub(super) async fn register(program: &Program, shutdown: &CancellationToken) -> Result<Option<i64>, WorkerError> {
    let info = serde_json::json!({
        "pid": std::process::id(), "version": env!("CARGO_PKG_VERSION"), "kinds": program.kind_names,
        "queues": program.queues, "concurrency": program.config.concurrency, "lease_ms": program.config.lease_ms(),
    });
    loop {
        let attempt = async {
            let mut connection = program.pool.acquire().await?;
            lane::ensure(&mut connection, &program.kinds.lanes()).await?;
            kind::declare(&mut connection, &program.kinds.lanes()).await?;
            for declared in program.kinds.limits() {
                limit::declare(&mut connection, declared).await?;
            }
            breaker::declare(&mut connection, &program.kinds.calls()).await?;
            store::register(&mut connection, &program.config.name, program.config.lease_ms(), &info).await
        };
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            registered = attempt => match registered {
                Ok(id) => return Ok(Some(id)),
                Err(error) => {
                    if let Some(refused) = error.as_database_error().filter(|_| sqlstate::is_of_value(&error)) {
                        return Err(WorkerError::Refused(refused.message().into()));
                    }
                    tracing::warn!(%error, "cannot register, trying again in a second");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}
