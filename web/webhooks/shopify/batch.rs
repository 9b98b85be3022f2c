//! One commit: rows of the inbox. A trigger of the table makes their jobs.

use std::collections::HashMap;

use engine::sqlstate;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::Delivery;
use super::inbox::{StoreError, Stored};
use crate::webhooks::jsonb;

const STORE: &str = include_str!("../../sql/webhook_inbox/store.sql");

/// A delivery as a row.
pub(super) struct Row<'a> {
    id: Uuid,
    delivery: &'a Delivery,
    /// Why the body cannot be stored as `jsonb`; then null takes its place.
    pub unfit: Option<String>,
}

impl<'a> Row<'a> {
    pub fn of(delivery: &'a Delivery) -> Self {
        let unfit = jsonb::check(&delivery.body).err().map(|unfit| unfit.to_string());
        Self { id: Uuid::new_v4(), delivery, unfit }
    }

    fn payload(&self) -> &str {
        match self.unfit {
            None => std::str::from_utf8(&self.delivery.body).unwrap_or("null"),
            Some(_) => "null",
        }
    }

    /// The lock that makes deliveries of the same bytes take turns.
    fn lock_key(&self) -> i64 {
        let (head, _) = self.delivery.body_sha256.split_first_chunk().expect("a digest has 32 bytes");
        i64::from_be_bytes(*head)
    }
}

/// Stores the rows, and their jobs with them; all or nothing. No two of them
/// may have the same topic and body.
pub(super) async fn commit(connection: &mut PgConnection, rows: &[Row<'_>]) -> Result<Vec<Stored>, StoreError> {
    let mut tx = connection.begin_with(AssertSqlSafe(begin(rows))).await?;
    let replay_of = insert(&mut tx, rows).await?;
    tx.commit().await?;
    Ok(rows.iter().map(|row| outcome(row, &replay_of)).collect())
}

/// Whether the database refused a row, and not its service.
pub(super) fn is_refusal(error: &StoreError) -> bool {
    is_of_body(error) || matches!(error, StoreError::Database(error) if sqlstate::is_deadlock(error))
}

/// Whether the queue of one topic is full.
pub(super) fn is_of_topic(error: &StoreError) -> bool {
    matches!(error, StoreError::Database(error) if sqlstate::is_queue_full(error))
}

/// Whether it refused what a row says.
pub(super) fn is_of_body(error: &StoreError) -> bool {
    matches!(error, StoreError::Database(error) if sqlstate::is_of_value(error))
}

/// Opens the transaction in one round trip.
///
/// The locks, taken in order of their keys, make a second delivery of the same
/// bytes see the first, whichever process has it. An answer of 200 promises
/// that the rows survive a crash, whatever the server's default is.
fn begin(rows: &[Row<'_>]) -> String {
    let mut keys: Vec<i64> = rows.iter().map(Row::lock_key).collect();
    keys.sort_unstable();
    let keys: Vec<String> = keys.iter().map(|key| format!("'{key}'")).collect();
    format!(
        "begin; set local statement_timeout = 2500; set local synchronous_commit = on; \
         select pg_advisory_xact_lock(key) from unnest(array[{}]::bigint[]) key",
        keys.join(",")
    )
}

fn outcome(row: &Row<'_>, replay_of: &HashMap<Uuid, Option<Uuid>>) -> Stored {
    match replay_of.get(&row.id) {
        None => Stored::Duplicate,
        Some(Some(_)) => Stored::SuspectedReplay,
        Some(None) if row.delivery.is_read() => Stored::Enqueued,
        Some(None) => Stored::UnknownTopic,
    }
}

/// Inserts what is new; returns the id of each new row and the row it repeats.
async fn insert(tx: &mut PgConnection, rows: &[Row<'_>]) -> sqlx::Result<HashMap<Uuid, Option<Uuid>>> {
    fn column<'a, T>(rows: &'a [Row<'a>], value: impl Fn(&'a Row<'a>) -> T) -> Vec<T> {
        rows.iter().map(value).collect()
    }
    let inserted: Vec<(Uuid, Option<Uuid>)> = sqlx::query_as(STORE)
        .bind(column(rows, |row| row.id))
        .bind(column(rows, |row| row.delivery.shop.as_str()))
        .bind(column(rows, |row| row.delivery.topic.as_str()))
        .bind(column(rows, |row| row.delivery.webhook_id.as_str()))
        .bind(column(rows, |row| row.delivery.event_id.as_deref()))
        .bind(column(rows, |row| row.delivery.triggered_at))
        .bind(column(rows, |row| row.delivery.headers.to_string()))
        .bind(column(rows, Row::payload))
        .bind(column(rows, |row| &row.delivery.body[..]))
        .bind(column(rows, |row| &row.delivery.body_sha256[..]))
        .bind(column(rows, |row| row.delivery.order_id))
        .bind(column(rows, |row| row.delivery.order_number.as_deref()))
        .bind(column(rows, |row| row.delivery.is_read()))
        .bind(column(rows, |row| row.unfit.as_deref()))
        .fetch_all(tx)
        .await?;
    Ok(inserted.into_iter().collect())
}
