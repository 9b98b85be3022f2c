//! Statements that a migration has outdated.
//!
//! PostgreSQL refuses a prepared statement whose columns are others since, again and again, on each connection that had prepared it
//! before. So when a handler meets that, the connections of handlers prepare anew.

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{Connection as _, PgPool};

/// For so long the connection that met it is on its way back to the pool.
const RETURN: Duration = Duration::from_millis(100);

/// Makes a worker's connections prepare anew, once for all that meet it at one time.
#[derive(Default)]
pub(super) struct Replan {
    is_due: Arc<AtomicBool>,
}

impl Replan {
    /// Has every connection that nobody uses forget what it has prepared, in a moment. One that is in use meets the same, and asks
    /// for it again.
    pub(super) fn ask(&self, pool: &PgPool) {
        if self.is_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let (pool, is_due) = (pool.clone(), self.is_due.clone());
        tokio::spawn(async move {
            tokio::time::sleep(RETURN).await;
            is_due.store(false, Ordering::Release);
            let idle: Vec<_> = iter::from_fn(|| pool.try_acquire()).collect();
            tracing::info!(connections = idle.len(), "a migration has outdated statements: they are prepared anew");
            for mut connection in idle {
                if let Err(error) = connection.clear_cached_statements().await {
                    tracing::debug!(%error, "a connection cannot forget its statements");
                }
            }
        });
    }
}
