//! Partitions of the ledger: made ahead, and dropped when nothing in them lives.

use sqlx::{PgConnection, PgPool};

use super::sql;

/// Makes the partitions for the next `ahead` ids; returns how many pairs were made.
///
/// # Errors
/// The database's: `55P03` when a reader holds the ledger; nothing was changed then, and the next try may do it.
pub async fn extend(connection: &mut PgConnection, width: i64, ahead: i64) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar(sql!("partition/extend")).bind(width).bind(ahead).fetch_one(connection).await
}

/// Drops the oldest pair of partitions that `engine.retention` lets go; what lives or is kept longer moves to the kept
/// tables first. Returns the id at which it ended; `None`: there is none.
///
/// # Errors
/// The database's: `55P03` when a reader holds the ledger; nothing was changed then, and the next try may do it.
pub async fn drop_expired(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(sql!("partition/drop_expired")).fetch_one(connection).await
}

/// Drops the partitions of jobs and attempts that end at `bound`; what still lives moves to the kept tables first.
/// Returns how many jobs were kept.
///
/// # Errors
/// The database's: `55P03` when a reader holds the partition; nothing was changed then, and the next try may do it.
pub async fn retire(pool: &PgPool, bound: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql!("partition/retire")).bind(bound).fetch_one(pool).await
}
