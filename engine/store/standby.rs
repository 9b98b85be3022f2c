//! What a synchronous standby has.

use sqlx::PgPool;

use super::sql;

/// Waits until it has all that was committed so far. Does nothing where commits wait for none.
///
/// # Errors
/// The database's.
pub async fn await_all(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("standby/await")).execute(pool).await.map(drop)
}
