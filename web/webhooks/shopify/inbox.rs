//! The inbox of Shopify's deliveries.
//!
//! Two things make a delivery known: its webhook id, which Shopify keeps over
//! retries, and its topic and bytes. The second finds a captured request that
//! is sent again under a new id, which the signature cannot tell apart.
//!
//! Deliveries that arrive while a commit is under way share the next one; each
//! is answered after the commit that holds it.

use std::sync::Arc;

use sqlx::postgres::PgPool;
use tokio::sync::{mpsc, oneshot};

use super::Delivery;
use super::writer::Writer;

/// Deliveries that may wait for a commit; more wait to be queued, and are
/// refused when their time is up.
const WAITING_LIMIT: usize = 1_024;

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// New: a job will process it.
    Enqueued,
    /// Its webhook id is known: nothing was written.
    Duplicate,
    /// Its topic and bytes are known under another id: kept, not run.
    SuspectedReplay,
    /// Nobody here reads its topic: kept and noted, not run.
    UnknownTopic,
}

/// Why a delivery was not stored; the sender has to try again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database refused or is away.
    #[error("storing failed: {0}")]
    Database(#[source] Arc<sqlx::Error>),
    /// The commit took too long.
    #[error("the database did not answer in time")]
    Late,
    /// The process is ending.
    #[error("the inbox is closed")]
    Closed,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// A delivery on its way into a commit, and who waits for it.
pub(super) struct Waiting {
    pub delivery: Delivery,
    pub answer: oneshot::Sender<Result<Stored, StoreError>>,
}

/// Stores deliveries; a clone is the same inbox.
#[derive(Clone)]
pub struct Inbox {
    waiting: mpsc::Sender<Waiting>,
}

impl Inbox {
    /// An inbox in the database of `pool`. Its writers are tasks that end when
    /// the last clone is dropped.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(pool: &PgPool) -> Self {
        let (waiting, queue) = mpsc::channel(WAITING_LIMIT);
        Writer::start(pool, queue);
        Self { waiting }
    }

    /// Stores one delivery and its job in one commit, which is durable when
    /// this returns. Storing it again is harmless.
    ///
    /// # Errors
    /// A [`StoreError`]; whether the commit happened may then be unknown, and
    /// the sender's retry finds out.
    pub async fn store(&self, delivery: Delivery) -> Result<Stored, StoreError> {
        let (answer, stored) = oneshot::channel();
        self.waiting.send(Waiting { delivery, answer }).await.map_err(|_| StoreError::Closed)?;
        stored.await.unwrap_or(Err(StoreError::Closed))
    }
}
