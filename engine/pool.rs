//! Pools whose connections come back without a transaction.
//!
//! sqlx 0.9.0 forgets a transaction whose `begin` was dropped before its answer came, by a timeout or with the request that
//! asked for it, and one whose `begin_with` failed after its first statement (sqlx issue 4393, mended after 0.9.0).
//! The connection goes back into the pool with the transaction open: what the next writes on it is answered and not
//! committed, or everything fails until the connection is closed.

use sqlx::{Connection, PgConnection, postgres::PgPoolOptions};

/// Options of a pool for what this crate does: a connection that comes back with a transaction open is closed, and what was
/// written in that transaction is undone. It costs a round trip whenever a connection comes back, while nobody waits.
///
/// ```no_run
/// # async fn example() -> Result<(), sqlx::Error> {
/// let pool = engine::pool_options().max_connections(8).connect("postgres://localhost/demo").await?;
/// # Ok(())
/// # }
/// ```
pub fn pool_options() -> PgPoolOptions {
    closes_what_is_in_a_transaction(PgPoolOptions::new())
}

/// These options, with what [`pool_options`] has in place of their `after_release`.
pub(crate) fn closes_what_is_in_a_transaction(options: PgPoolOptions) -> PgPoolOptions {
    options.after_release(|connection, _| Box::pin(is_in_none(connection)))
}

/// Whether the server has no transaction open. A begin that does not begin one is refused where there is none.
async fn is_in_none(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match connection.begin_with("select").await {
        Err(sqlx::Error::BeginFailed) => Ok(true),
        // An open one, and one that failed.
        Ok(_) | Err(sqlx::Error::Database(_) | sqlx::Error::InvalidSavePointStatement) => {
            tracing::debug!("a connection came back in a transaction, closing it");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
