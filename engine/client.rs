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
    /// ```no_run
    /// # use engine::{Client, Job, JobResult, NewJob, Outcome, Run};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct SendReceipt { order: i64 }
    /// # impl Job for SendReceipt {
    /// #     const KIND: &'static str = "shop.send_receipt";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    /// # async fn example(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::new(pool);
    /// let job = NewJob::of(&SendReceipt { order: 7 })?.idempotency_key("checkout", "cart 4711");
    /// let first = client.enqueue(&job).await?;
    /// // No answer came, say, so the producer asks again.
    /// let again = client.enqueue(&job).await?;
    /// assert_eq!((again.id, again.created), (first.id, false));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`enqueue_in`].
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
    /// ```no_run
    /// use std::time::Duration;
    /// use engine::{Client, Ending, JobId};
    ///
    /// # async fn example(client: Client, id: JobId) -> Result<(), engine::StoreError> {
    /// match client.wait_for_end(id, Duration::from_secs(30)).await? {
    ///     Some(Ending::Completed(output)) => println!("it is done: {output}"),
    ///     Some(Ending::Cancelled(reason)) => println!("it was cancelled: {reason:?}"),
    ///     Some(Ending::Dead { category, error }) => println!("it failed: {category:?}, {error:?}"),
    ///     None => println!("it goes on"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::ending`].
    pub async fn wait_for_end(&self, id: JobId, limit: Duration) -> Result<Option<Ending>, StoreError> {
        // `None`: longer than there will be time.
        let until = Instant::now().checked_add(limit);
        let mut pause = Duration::from_millis(5);
        loop {
            let ending = self.ending(id).await?;
            let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            if ending.is_some() || left.is_zero() {
                return Ok(ending);
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    /// Enqueues many jobs in one transaction: all or none. The answer is that of [`enqueue_many_in`].
    ///
    /// ```no_run
    /// # use engine::{Client, Job, JobResult, NewJob, Outcome, Run};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct SendReceipt { order: i64 }
    /// # impl Job for SendReceipt {
    /// #     const KIND: &'static str = "shop.send_receipt";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let jobs: Vec<NewJob> = (1..=500).map(|order| NewJob::of(&SendReceipt { order })).collect::<Result<_, _>>()?;
    /// let ids = client.enqueue_many(&jobs).await?;
    /// println!("{} jobs are new", ids.iter().flatten().count());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`enqueue_many_in`].
    pub async fn enqueue_many(&self, jobs: &[NewJob]) -> Result<Vec<Option<JobId>>, StoreError> {
        let mut tx = self.pool.begin().await?;
        let ids = enqueue_many_in(&mut tx, jobs).await?;
        tx.commit().await?;
        Ok(ids)
    }

    /// Enqueues jobs by the hundred thousand in one transaction, by COPY: all or none. The answer has one id a job, in order.
    ///
    /// ```no_run
    /// # use engine::{Client, Job, JobResult, NewJob, Outcome, Run};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct SendReceipt { order: i64 }
    /// # impl Job for SendReceipt {
    /// #     const KIND: &'static str = "shop.send_receipt";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let jobs: Vec<NewJob> = (1..=500_000).map(|order| NewJob::of(&SendReceipt { order })).collect::<Result<_, _>>()?;
    /// let ids = client.enqueue_copy(&jobs).await?;
    /// assert_eq!(ids.len(), jobs.len());
    /// # Ok(())
    /// # }
    /// ```
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
/// ```no_run
/// use engine::enqueue_in;
/// # use engine::{Job, JobResult, NewJob, Outcome, Run};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct SendReceipt { order: i64 }
/// # impl Job for SendReceipt {
/// #     const KIND: &'static str = "shop.send_receipt";
/// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
/// # }
///
/// # async fn example(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// let mut tx = pool.begin().await?;
/// let order: i64 = sqlx::query_scalar("insert into orders (email) values ($1) returning id")
///     .bind("ada@example.com")
///     .fetch_one(&mut *tx)
///     .await?;
/// enqueue_in(&mut tx, &NewJob::of(&SendReceipt { order })?).await?;
/// tx.commit().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`StoreError::Refused`] for a priority, a number of attempts or a delay that is none and for options that do not go together, before
/// the database is asked; and then for a name that is none; [`StoreError::ArgumentsTooLarge`]; [`StoreError::KeyReused`] for an idempotency key
/// with other arguments; [`StoreError::QueueFull`]; otherwise the database's. After what the database refused, the caller's transaction
/// can only be rolled back.
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
