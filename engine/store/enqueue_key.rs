//! Producers' idempotency keys: kept for days, then forgotten.

use sqlx::PgConnection;

use super::sql;

/// Forgets up to `limit` keys that are past their time; returns how many.
///
/// # Errors
/// The database's.
pub async fn prune(connection: &mut PgConnection, limit: i64) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(sql!("enqueue_key/prune")).bind(limit).execute(connection).await?.rows_affected())
}
