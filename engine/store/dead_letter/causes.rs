//! What dead letters died of, counted.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;

use super::Filter;
use crate::store::sql;

/// What several letters died of: one kind, one category, and one error but for the numbers in it.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Cause {
    /// Names it, for [`Filter::fingerprint`]; none of letters that another program has left.
    pub fingerprint: Option<String>,
    /// The kind of the jobs.
    pub topic: String,
    /// The error category that decided.
    pub category: Option<String>,
    /// How many letters nobody has dealt with.
    pub letters: i64,
    /// When the first of them died.
    pub first_at: DateTime<Utc>,
    /// When the last of them died.
    pub last_at: DateTime<Utc>,
    /// The last error of that one.
    pub error_message: Option<String>,
}

/// Up to `limit` causes of the letters that nobody has dealt with, those of most letters first. [`Filter::resolved`] and
/// [`Filter::fingerprint`] play no part.
///
/// # Errors
/// The database's.
pub async fn causes(pool: &PgPool, filter: &Filter, limit: i64) -> Result<Vec<Cause>, sqlx::Error> {
    sqlx::query_as(sql!("dead_letter/causes")).bind(&filter.kind).bind(&filter.category).bind(limit).fetch_all(pool).await
}
