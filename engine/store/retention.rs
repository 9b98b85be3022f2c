//! How long what has ended is kept: live data, by which the house lets go.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use super::sql;

/// Why a retention is not set.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// Nothing of this name is kept.
    #[error("nothing called {0} is kept: `rawops retention list` shows what is")]
    Unknown(String),
    /// Less than an hour, or more than a hundred years.
    #[error("what has ended is kept from an hour to a hundred years, or for ever")]
    OutOfRange,
    /// The database refused or is away.
    #[error("{0}")]
    Database(#[from] sqlx::Error),
}

/// How long one thing is kept.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Retention {
    /// What: an outcome of jobs, letters, keys, workers.
    pub what: String,
    /// For how many seconds after its end; `None`: for ever.
    pub kept_s: Option<i64>,
    /// What it is, in words.
    pub says: String,
    /// When it was changed last.
    pub changed_at: Option<DateTime<Utc>>,
    /// By whom.
    pub changed_by: Option<String>,
}

/// How long everything is kept.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool) -> Result<Vec<Retention>, sqlx::Error> {
    sqlx::query_as(sql!("retention/list")).fetch_all(pool).await
}

/// Keeps one thing for so long, or for ever; the next act of the house goes by it.
///
/// # Errors
/// [`RetentionError`] says what is wrong.
pub async fn put(pool: &PgPool, what: &str, kept: Option<Duration>, actor: &str) -> Result<(), RetentionError> {
    let known: Option<String> = sqlx::query_scalar(sql!("retention/put"))
        .bind(what)
        .bind(kept.map(|kept| kept.as_secs().min(i64::MAX as u64) as i64))
        .bind(actor)
        .fetch_optional(pool)
        .await
        .map_err(refused)?;
    known.map(drop).ok_or_else(|| RetentionError::Unknown(what.to_string()))
}

fn refused(error: sqlx::Error) -> RetentionError {
    match error.as_database_error().and_then(|database| database.code().map(std::borrow::Cow::into_owned)).as_deref() {
        // The check of the column, and an interval that overflows on its way there.
        Some("23514" | "22008") => RetentionError::OutOfRange,
        _ => error.into(),
    }
}

/// Forgets up to `batch` ended jobs that are past their time and that no partition takes along; returns how many.
///
/// # Errors
/// The database's.
pub async fn forget_ended(connection: &mut PgConnection, batch: i32) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql!("retention/forget_ended")).bind(batch).fetch_one(connection).await
}

/// Forgets up to `batch` dead letters that are past their time and whose jobs are gone; returns how many.
///
/// # Errors
/// The database's.
pub async fn forget_letters(connection: &mut PgConnection, batch: i32) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql!("retention/forget_letters")).bind(batch).fetch_one(connection).await
}
