//! Producers' idempotency keys: kept for days, then forgotten.

use sqlx::PgConnection;

use super::sql;

/// Forgets up to `limit` keys older than `days`; returns how many.
///
/// # Errors
/// The database's.
pub async fn prune(connection: &mut PgConnection, days: i32, limit: i64) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(sql!("enqueue_key/prune")).bind(days).bind(limit).execute(connection).await?.rows_affected())
}
