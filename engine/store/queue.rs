//! Queues: how deep they are, and how deep they may become.

use serde::Serialize;
use sqlx::PgPool;

use super::{StoreError, sql};

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Jobs that may run now, as counted a moment ago.
    pub ready: i64,
    /// Jobs that run at a time, as counted a while ago.
    pub scheduled: i64,
    /// For how many milliseconds the first ready job has been there.
    pub oldest_ms: i64,
    /// With so many jobs ready, it takes no more.
    pub depth_limit: Option<i64>,
}

/// Every queue that was ever used or has a setting, by name.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool) -> Result<Vec<Queue>, sqlx::Error> {
    sqlx::query_as(sql!("queue/list")).fetch_all(pool).await
}

/// Lets a queue hold `limit` ready jobs at most, or as many as come. What is there already stays.
///
/// # Errors
/// [`StoreError::Refused`] for a limit below one, and for a name that is none; otherwise the database's.
pub async fn set_limit(pool: &PgPool, name: &str, limit: Option<i64>) -> Result<(), StoreError> {
    sqlx::query(sql!("queue/set_limit")).bind(name).bind(limit).execute(pool).await.map(drop).map_err(StoreError::of_refusal)
}
