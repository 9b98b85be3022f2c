//! Waking workflows: those whose time is up or whose children have ended at once, and now and then those that nobody woke.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::PgConnection;

use super::session::Session;
use crate::store::parked;

const BATCH: i64 = 1000;
/// Workflows and children that are dealt with in one go after a cancel or a death.
const AFTERMATH: i32 = 500;
/// How often those are looked for who should have been woken by an event.
const MISSED: Duration = Duration::from_secs(5);
/// The share of its time that goes into looking at parents who wait for long.
const SHARE: u32 = 10;

/// What one keeper has looked at.
pub(super) struct Waking {
    session: Arc<Session>,
    missed: Instant,
    parents: Instant,
}

impl Waking {
    pub(super) fn new(session: &Arc<Session>) -> Self {
        let now = Instant::now();
        Self { session: session.clone(), missed: now, parents: now }
    }

    /// Wakes who is to be woken.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn look(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        parked::wake_due(connection, BATCH).await?;
        if self.parents <= Instant::now() {
            let begun = Instant::now();
            parked::wake_parents(connection, BATCH).await?;
            parked::settle_aftermath(connection, AFTERMATH).await?;
            self.parents = Instant::now() + begun.elapsed() * SHARE;
        }
        if self.missed.elapsed() >= MISSED {
            self.missed = Instant::now();
            self.wake_missed(connection).await?;
        }
        Ok(())
    }

    async fn wake_missed(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
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
