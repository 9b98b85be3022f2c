//! Waking workflows: those whose time is up at once, and now and then those that nobody woke.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::PgConnection;

use super::session::Session;
use crate::store::parked;

const BATCH: i64 = 1000;
/// How often those are looked for who should have been woken by an event.
const MISSED: Duration = Duration::from_secs(5);

/// What one keeper has looked at.
pub(super) struct Waking {
    session: Arc<Session>,
    missed: Instant,
}

impl Waking {
    pub(super) fn new(session: &Arc<Session>) -> Self {
        Self { session: session.clone(), missed: Instant::now() }
    }

    /// Wakes who is to be woken.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn look(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        parked::wake_due(connection, BATCH).await?;
        if self.missed.elapsed() < MISSED {
            return Ok(());
        }
        self.missed = Instant::now();
        let woken = parked::wake_missed(connection, BATCH).await?;
        if woken > 0 {
            let worker = self.session.worker_id;
            tracing::warn!(
                worker.id = worker,
                workflows = woken,
                "parked although their event came: an emitter's snapshot was older than their wait"
            );
        }
        Ok(())
    }
}
