//! The duties of the house: what one process does for all, and how each of them is.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use super::{leader::Lead, sql, storable};

/// The longest error that is kept, in bytes.
const ERROR_LIMIT: usize = 1000;

/// Begins an act: no statement of this transaction may take longer than `limit`.
///
/// # Errors
/// The database's.
pub async fn begin(connection: &mut PgConnection, limit: Duration) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("duty/begin")).bind(limit.as_millis().to_string()).execute(connection).await.map(drop)
}

/// Notes that a duty succeeded, how long it took and how much it dealt with.
///
/// # Errors
/// The database's.
pub async fn succeeded(
    connection: &mut PgConnection,
    lead: &Lead,
    name: &str,
    period: Duration,
    took: Duration,
    did: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("duty/succeeded"))
        .bind(name)
        .bind(period.as_millis() as i64)
        .bind(took.as_secs_f64() * 1000.0)
        .bind(did)
        .bind(lead.holder)
        .bind(lead.term)
        .execute(connection)
        .await
        .map(drop)
}

/// Notes that a duty failed; returns how often it has in a row.
///
/// # Errors
/// The database's.
pub async fn failed(connection: &mut PgConnection, lead: &Lead, name: &str, period: Duration, error: &str) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar(sql!("duty/failed"))
        .bind(name)
        .bind(period.as_millis() as i64)
        .bind(storable(error, ERROR_LIMIT))
        .bind(lead.holder)
        .bind(lead.term)
        .fetch_one(connection)
        .await
}

/// A duty and how it is.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Health {
    /// What is done.
    pub name: String,
    /// How often it is due, in milliseconds.
    pub period_ms: i64,
    /// When it succeeded last; `None`: never.
    pub succeeded_at: Option<DateTime<Utc>>,
    /// When it failed last.
    pub failed_at: Option<DateTime<Utc>>,
    /// How often it has failed in a row.
    pub failures: i32,
    /// Why it failed last.
    pub error: Option<String>,
    /// How long ago it succeeded; since it was first tried, when it never has.
    pub seconds_since_success: f64,
    /// Whether it has not succeeded for five periods and half a minute.
    pub overdue: bool,
}

/// Every duty and how it is.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool) -> Result<Vec<Health>, sqlx::Error> {
    sqlx::query_as(sql!("duty/list")).fetch_all(pool).await
}
