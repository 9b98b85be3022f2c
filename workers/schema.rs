//! No process works on a database whose schema it does not know.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// How long a process waits before it asks a database that is away again.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a process will not work on a database.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The program is newer than the schema.
    #[error("the database's schema is older than this program: run `rawops migrate` first")]
    Older,
    /// The schema is newer than the program, or not ours.
    #[error("{0}")]
    Refused(migrations::Error),
}

/// Waits until the database answers and its schema is this program's; false when the shutdown came first.
///
/// # Errors
/// When the schema is another one: nothing was touched then.
pub async fn wait_until_current(pool: &PgPool, shutdown: &CancellationToken) -> Result<bool, SchemaError> {
    loop {
        match shutdown.run_until_cancelled(is_current(pool)).await {
            None => return Ok(false),
            Some(Ok(true)) => return Ok(true),
            Some(Ok(false)) => return Err(SchemaError::Older),
            Some(Err(migrations::Error::Database(error))) => {
                tracing::warn!(%error, "the database is away, asking again in a second");
                if shutdown.run_until_cancelled(tokio::time::sleep(AGAIN)).await.is_none() {
                    return Ok(false);
                }
            }
            Some(Err(refusal)) => return Err(SchemaError::Refused(refusal)),
        }
    }
}

async fn is_current(pool: &PgPool) -> Result<bool, migrations::Error> {
    migrations::is_current(&mut *pool.acquire().await?).await
}
