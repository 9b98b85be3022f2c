//! The inbox of Shopify's deliveries: one commit per delivery.
//!
//! Two things make a delivery known: its webhook id, which Shopify keeps over
//! retries, and its topic and bytes. The second finds a captured request that
//! is sent again under a new id, which the signature cannot tell apart.

use crate::shim::{self as engine, NewJob, ProcessOrder};
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::Delivery;
use crate::webhooks::jsonb;

const STORE: &str = include_str!("../../sql/webhook_inbox/store.sql");
const NOTE_UNKNOWN_TOPIC: &str = include_str!("../../sql/ops_events/note_unknown_topic.sql");

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
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or is away.
    #[error("storing failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The job could not be enqueued.
    #[error("enqueueing failed: {0}")]
    Enqueue(#[from] engine::EnqueueError),
}

/// Stores deliveries.
#[derive(Clone)]
pub struct Inbox {
    pool: PgPool,
}

impl Inbox {
    /// An inbox in the database of `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Stores one delivery and its job in one commit, which is durable when
    /// this returns. Storing it again is harmless.
    ///
    /// # Errors
    /// A [`StoreError`]; whether the commit happened may then be unknown, and
    /// the sender's retry finds out.
    pub async fn store(&self, delivery: &Delivery) -> Result<Stored, StoreError> {
        let checked = jsonb::check(&delivery.body).map_err(|unfit| unfit.to_string());
        match self.commit(delivery, &checked).await {
            // The check and the server disagree: the evidence goes in anyway.
            Err(StoreError::Database(error)) if checked.is_ok() && is_unfit(&error) => {
                let unfit = Err(format!("the body does not fit jsonb: {error}"));
                self.commit(delivery, &unfit).await
            }
            stored => stored,
        }
    }

    async fn commit(&self, delivery: &Delivery, payload: &Result<&str, String>) -> Result<Stored, StoreError> {
        let mut tx = self.pool.begin_with(AssertSqlSafe(begin(delivery))).await?;
        let Some((inbox_id, is_replay)) = insert(&mut tx, delivery, payload).await? else {
            tx.rollback().await?;
            return Ok(Stored::Duplicate);
        };
        let stored = if is_replay {
            Stored::SuspectedReplay
        } else if delivery.is_order() {
            enqueue(&mut tx, inbox_id).await?;
            Stored::Enqueued
        } else {
            note_unknown_topic(&mut tx, inbox_id, &delivery.topic).await?;
            Stored::UnknownTopic
        };
        tx.commit().await?;
        Ok(stored)
    }
}

/// Opens the transaction in one round trip.
///
/// The lock on the body's hash makes two deliveries of the same bytes take
/// turns, so that the second sees the first. An answer of 200 promises that
/// the row survives a crash, whatever the server's default is.
fn begin(delivery: &Delivery) -> String {
    let (head, _) = delivery.body_sha256.split_first_chunk().expect("a digest has 32 bytes");
    let key = i64::from_be_bytes(*head);
    format!(
        "begin; set local statement_timeout = 2500; set local synchronous_commit = on; \
         select pg_advisory_xact_lock({key})"
    )
}

/// Inserts the row; `None` when its webhook id is known.
async fn insert(tx: &mut PgConnection, delivery: &Delivery, payload: &Result<&str, String>) -> sqlx::Result<Option<(Uuid, bool)>> {
    sqlx::query_as(STORE)
        .bind(&delivery.shop)
        .bind(&delivery.topic)
        .bind(&delivery.webhook_id)
        .bind(&delivery.event_id)
        .bind(delivery.triggered_at)
        .bind(payload.as_ref().ok())
        .bind(&delivery.headers)
        .bind(&delivery.body[..])
        .bind(&delivery.body_sha256[..])
        .bind(delivery.order_id)
        .bind(&delivery.order_number)
        .bind(delivery.is_order())
        .bind(payload.as_ref().err())
        .fetch_optional(tx)
        .await
}

async fn enqueue(tx: &mut PgConnection, inbox_id: Uuid) -> Result<(), StoreError> {
    let job = NewJob::of(&ProcessOrder { inbox_id })?.unique_key(inbox_id.to_string());
    engine::enqueue_in(tx, &job).await?;
    Ok(())
}

async fn note_unknown_topic(tx: &mut PgConnection, id: Uuid, topic: &str) -> sqlx::Result<()> {
    sqlx::query(NOTE_UNKNOWN_TOPIC).bind(id).bind(topic).execute(tx).await?;
    Ok(())
}

/// Whether the server refused the body's text and not the row.
fn is_unfit(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("22003" | "22021" | "22P02" | "22P05" | "54000" | "54001"))
}
