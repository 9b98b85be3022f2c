//! The tasks that write deliveries: what waits together is committed together.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgPool;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use super::Delivery;
use super::batch::{self, Row};
use super::inbox::{StoreError, Stored, Waiting};

/// Deliveries in one commit. At this size a commit costs each of them little.
const BATCH_LIMIT: usize = 64;

/// How long one commit may take. Every statement's own limit on the server is
/// shorter, so this one strikes when the server cannot be reached.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(3);

/// Writers at a time: one's commit reaches the disk while the other's rows are
/// parsed.
const WRITERS: usize = 2;

pub(super) struct Writer {
    pool: PgPool,
    queue: Arc<Mutex<mpsc::Receiver<Waiting>>>,
    /// Twins of deliveries in the batch before: they have to see it committed.
    deferred: Vec<Waiting>,
}

impl Writer {
    /// Starts the writers of a queue; they end when its last sender is gone.
    pub fn start(pool: &PgPool, queue: mpsc::Receiver<Waiting>) {
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..WRITERS {
            let writer = Self { pool: pool.clone(), queue: Arc::clone(&queue), deferred: Vec::new() };
            tokio::spawn(writer.run());
        }
    }

    async fn run(mut self) {
        while let Some(batch) = self.next_batch().await {
            let (deliveries, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|waiting| (waiting.delivery, waiting.answer)).unzip();
            let results = self.store(&deliveries).await;
            for (answer, result) in answers.into_iter().zip(results) {
                // Whoever waited may have given up; the row is there all the same.
                _ = answer.send(result);
            }
        }
    }

    /// What waits now, or the next one that comes.
    async fn next_batch(&mut self) -> Option<Vec<Waiting>> {
        loop {
            let mut arrived = std::mem::take(&mut self.deferred);
            if arrived.is_empty() && self.queue.lock().await.recv_many(&mut arrived, BATCH_LIMIT).await == 0 {
                return None;
            }
            // Nobody waits any more for these: the sender will come again.
            arrived.retain(|waiting| !waiting.answer.is_closed());
            let mut bodies = HashSet::new();
            let (batch, twins) = arrived
                .into_iter()
                .partition::<Vec<_>, _>(|waiting| bodies.insert((waiting.delivery.topic.clone(), waiting.delivery.body_sha256)));
            self.deferred = twins;
            if !batch.is_empty() {
                return Some(batch);
            }
        }
    }

    /// Stores a batch in one commit. When a queue is full, each topic has a commit of its own: a full one stops no other.
    async fn store(&self, deliveries: &[Delivery]) -> Vec<Result<Stored, StoreError>> {
        let rows: Vec<Row> = deliveries.iter().map(Row::of).collect();
        match self.commit(&rows).await {
            Err(error) if batch::is_of_topic(&error) => (),
            stored => return self.unless_refused(rows, stored).await,
        }
        let mut topics: BTreeMap<&str, (Vec<usize>, Vec<Row>)> = BTreeMap::new();
        for (place, row) in rows.into_iter().enumerate() {
            let (places, of_topic) = topics.entry(deliveries[place].topic.as_str()).or_default();
            places.push(place);
            of_topic.push(row);
        }
        let mut results = BTreeMap::new();
        for (places, rows) in topics.into_values() {
            let stored = self.commit(&rows).await;
            results.extend(places.into_iter().zip(self.unless_refused(rows, stored).await));
        }
        results.into_values().collect()
    }

    /// What came of a commit. When the database refused the batch for the sake of one, each is stored alone: one bad row stops no other.
    async fn unless_refused(&self, rows: Vec<Row<'_>>, stored: Result<Vec<Stored>, StoreError>) -> Vec<Result<Stored, StoreError>> {
        match stored {
            Ok(stored) => stored.into_iter().map(Ok).collect(),
            Err(error) if batch::is_refusal(&error) => {
                tracing::warn!(%error, rows = rows.len(), "a batch of webhooks was refused, each is stored alone");
                let mut results = Vec::with_capacity(rows.len());
                for row in rows {
                    results.push(self.store_alone(row).await);
                }
                results
            }
            Err(error) => vec![Err(error); rows.len()],
        }
    }

    /// Where the check of the body and the server disagree, the evidence goes
    /// in without the parsed body.
    async fn store_alone(&self, mut row: Row<'_>) -> Result<Stored, StoreError> {
        let stored = match self.commit(std::slice::from_ref(&row)).await {
            Err(error) if batch::is_of_body(&error) && row.unfit.is_none() => {
                row.unfit = Some(format!("the body does not fit jsonb: {error}"));
                self.commit(&[row]).await
            }
            stored => stored,
        };
        Ok(stored?[0])
    }

    async fn commit(&self, rows: &[Row<'_>]) -> Result<Vec<Stored>, StoreError> {
        let mut connection = timeout(COMMIT_TIMEOUT, self.pool.acquire()).await.map_err(|_| StoreError::Late)??;
        let Ok(stored) = timeout(COMMIT_TIMEOUT, batch::commit(&mut connection, rows)).await else {
            // It may never answer again: it must not go back to the pool.
            drop(connection.detach());
            return Err(StoreError::Late);
        };
        stored
    }
}
