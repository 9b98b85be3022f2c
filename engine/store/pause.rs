//! What operators hold: queues, kinds and keys.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{StoreError, sql};
use crate::why::Pause;

/// What can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A queue.
    Queue,
    /// A kind of job.
    Kind,
    /// A limit key; with a final `*`, each that begins so.
    Key,
}

impl Scope {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Kind => "kind",
            Self::Key => "key",
        }
    }
}

/// When work is held.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    /// From when; `None` from now on.
    pub from: Option<DateTime<Utc>>,
    /// Until when; `None` until it is resumed.
    pub until: Option<DateTime<Utc>>,
}

/// Holds the jobs of a queue, a kind or a key; what runs goes on. `by` and `reason` stay on record.
///
/// # Errors
/// [`StoreError::Refused`] for a window that ends before it begins, and for a name that is none; otherwise the database's.
pub async fn begin(pool: &PgPool, scope: Scope, name: &str, window: Window, by: &str, reason: Option<&str>) -> Result<i64, StoreError> {
    let holding = sqlx::query_scalar(sql!("pause/begin")).bind(scope.as_str()).bind(name).bind(by).bind(reason);
    holding.bind(window.from).bind(window.until).fetch_one(pool).await.map_err(StoreError::of_refusal)
}

/// Lets the jobs of a queue, a kind or a key go on; returns how many pauses ended.
///
/// # Errors
/// The database's.
pub async fn resume(pool: &PgPool, scope: Scope, name: &str, by: &str) -> Result<i32, StoreError> {
    Ok(sqlx::query_scalar(sql!("pause/resume")).bind(scope.as_str()).bind(name).bind(by).fetch_one(pool).await?)
}

/// What is held at this moment, and what will be.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool) -> Result<Vec<Pause>, StoreError> {
    Ok(sqlx::query_as(sql!("pause/list")).fetch_all(pool).await?)
}
