//! Transactions in which people look at the ledger.

use sqlx::{PgPool, Postgres, Transaction};

use super::sql;

/// Begins one. Each of its statements still sees a snapshot of its own; it holds nothing back and need not be committed.
pub(super) async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let mut tx = pool.begin().await?;
    sqlx::query(sql!("look/begin")).execute(&mut *tx).await?;
    Ok(tx)
}
