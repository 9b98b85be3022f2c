//! Transactions that wait for locks for a moment only.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

/// Begins one, in one round trip: a statement of it that needs a lock for longer than `wait` is refused, with SQLSTATE 55P03. Somebody
/// who enqueues or emits in a long transaction of his own holds what others ask for.
///
/// # Errors
/// The database's.
pub async fn begin(pool: &PgPool, wait: Duration) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    pool.begin_with(AssertSqlSafe(format!("begin; set local lock_timeout = {}", wait.as_millis()))).await
}
