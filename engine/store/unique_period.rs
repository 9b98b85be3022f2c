//! Unique keys that are held for a time, whatever becomes of their job.

use sqlx::PgConnection;

use super::sql;

/// Forgets up to `limit` keys whose time is over; returns how many.
///
/// # Errors
/// The database's.
pub async fn prune(connection: &mut PgConnection, limit: i64) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(sql!("unique_period/prune")).bind(limit).execute(connection).await?.rows_affected())
}
