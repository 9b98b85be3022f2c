//! The one clock.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::sql;

/// The time that the engine's SQL goes by.
///
/// # Errors
/// The database's.
pub async fn now(pool: &PgPool) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar(sql!("clock/now")).fetch_one(pool).await
}

/// The same, on a connection of the caller's.
///
/// # Errors
/// The database's.
pub async fn now_in(connection: &mut PgConnection) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar(sql!("clock/now")).fetch_one(connection).await
}
