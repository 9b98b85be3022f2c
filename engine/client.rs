//! How producers enqueue: alone, or inside a transaction of their own.

use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool};

use crate::{Ending, Enqueued, JobId, NewJob, StoreError, store};

/// Enqueues through a pool of connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) pool: PgPool,
}

impl Client {
    /// A client that takes its connections from `pool`.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Enqueues one job in a transaction of its own. It is durable when this returns.
    ///
    /// After an error of the connection the outcome is unknown; give the job an idempotency key and call again.
    ///
    /// # Errors
    /// [`StoreError`] says which part of the job the database refused ([`StoreError::Refused`] for a name that is none), or that it is
    /// away.
    pub async fn enqueue(&self, job: &NewJob) -> Result<Enqueued, StoreError> {
        enqueue_in(&mut *self.pool.acquire().await?, job).await
    }

    /// How a job ended; `None` while it has not. An end that is told has reached the synchronous standby, where there is one.
    ///
    /// # Errors
    /// [`StoreError::NoSuchJob`] when there is none of this id; otherwise the database's.
    pub async fn ending(&self, id: JobId) -> Result<Option<Ending>, StoreError> {
        let ending = store::attempt::ending(&self.pool, id).await?;
        if ending.is_some() {
            // Who is told of an end acts on it.
            store::standby::await_all(&self.pool).await?;
        }
        Ok(ending)
    }

    /// Waits until a job has ended, for `limit` at most: `None` when it has not by then.
    ///
    /// # Errors
    /// As [`Client::ending`].
    pub async fn wait_for_end(&self, id: JobId, limit: Duration) -> Result<Option<Ending>, StoreError> {
        let until = Instant::now() + limit;
        let mut pause = Duration::from_millis(5);
        loop {
            let ending = self.ending(id).await?;
            let left = until.saturating_duration_since(Instant::now());
            if ending.is_some() || left.is_zero() {
                return Ok(ending);
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    /// Enqueues many jobs in one transaction: all or none.
    ///
    /// # Errors
    /// As [`Client::enqueue`].
    pub async fn enqueue_many(&self, jobs: &[NewJob]) -> Result<Vec<Option<JobId>>, StoreError> {
        let mut tx = self.pool.begin().await?;
        let ids = enqueue_many_in(&mut tx, jobs).await?;
        tx.commit().await?;
        Ok(ids)
    }

    /// Enqueues jobs by the hundred thousand in one transaction, by COPY: all or none. The answer has one id a job, in order.
    ///
    /// # Errors
    /// [`StoreError::NotForCopy`] when one has a unique, idempotency or limit key; otherwise as [`Client::enqueue`].
    pub async fn enqueue_copy(&self, jobs: &[NewJob]) -> Result<Vec<JobId>, StoreError> {
        let mut tx = self.pool.begin().await?;
        let ids = enqueue_copy_in(&mut tx, jobs).await?;
        tx.commit().await?;
        Ok(ids)
    }
}

/// Enqueues one job in the caller's transaction: it exists if, and only if, that transaction commits.
///
/// # Errors
/// [`StoreError`] says which part of the job the database refused, or that it is away.
pub async fn enqueue_in(connection: &mut PgConnection, job: &NewJob) -> Result<Enqueued, StoreError> {
    store::job::enqueue(connection, job).await
}

/// Enqueues many jobs in the caller's transaction, in a few statements. The answer has one entry a job, in order;
/// `None` where a live job already holds the unique key.
///
/// # Errors
/// As [`enqueue_in`]; [`StoreError::KeyedInBulk`] when a job carries an idempotency key, which only single enqueues honour.
pub async fn enqueue_many_in(connection: &mut PgConnection, jobs: &[NewJob]) -> Result<Vec<Option<JobId>>, StoreError> {
    store::job::enqueue_many(connection, jobs).await
}

/// As [`Client::enqueue_copy`], in the caller's transaction.
///
/// # Errors
/// As [`Client::enqueue_copy`]. After an error the transaction can only be rolled back.
pub async fn enqueue_copy_in(connection: &mut PgConnection, jobs: &[NewJob]) -> Result<Vec<JobId>, StoreError> {
    store::copy::enqueue(connection, jobs).await
}
