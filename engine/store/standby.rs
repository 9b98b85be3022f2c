//! What a synchronous standby has.

use sqlx::PgExecutor;

use super::sql;

/// Waits until it has all that was committed so far. Does nothing where commits wait for none.
///
/// # Errors
/// The database's.
pub async fn await_all(executor: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("standby/await")).execute(executor).await.map(drop)
}
