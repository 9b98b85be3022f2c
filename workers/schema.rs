//! No process works on a database whose schema it does not know.

use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

/// How long a process waits before it asks a database that is away again.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a process will not work on a database.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The program is newer than the schema.
    #[error("the database's schema is older than this program: run `rawops migrate` first")]
    Older,
    /// The server does not know this user or this database.
    #[error("the server does not open the database: {0}; is DATABASE_URL right?")]
    Unopened(sqlx::Error),
    /// The server opened the database, but this user has no part in it.
    #[error("this user may not use the database: {0}; make it a member of the process's role, as in `grant rawops_runtime to …`")]
    Forbidden(sqlx::Error),
    /// The schema is newer than the program, or not ours.
    #[error("{0}")]
    Refused(migrations::Error),
}

/// Waits until the database answers and its schema is this program's; false when the shutdown came first.
///
/// # Errors
/// When the schema is another one, or the server refuses this user or has no such database: nothing was touched then.
pub async fn wait_until_current(pool: &PgPool, shutdown: &CancellationToken) -> Result<bool, SchemaError> {
    let mut told = String::new();
    loop {
        let error = match shutdown.run_until_cancelled(is_current(pool)).await {
            None => return Ok(false),
            Some(Ok(true)) => return Ok(true),
            Some(Ok(false)) => return Err(SchemaError::Older),
            Some(Err(migrations::Error::Database(error))) if code(&error).as_deref() == Some("42501") => {
                return Err(SchemaError::Forbidden(error));
            }
            Some(Err(migrations::Error::Database(error))) if !is_refusal(&error) => error.to_string(),
            Some(Err(migrations::Error::Database(error))) => return Err(SchemaError::Unopened(error)),
            Some(Err(refusal)) => return Err(SchemaError::Refused(refusal)),
        };
        if told != error {
            tracing::warn!(%error, "the database is away, asking again every second");
            told = error;
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(AGAIN)).await.is_none() {
            return Ok(false);
        }
    }
}

/// Not through the pool, which would hide why there is no connection.
async fn is_current(pool: &PgPool) -> Result<bool, migrations::Error> {
    let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
    let current = migrations::is_current(&mut connection).await?;
    connection.close().await?;
    Ok(current)
}

/// Whether the server answered, and will answer the same until somebody changes a setting.
fn is_refusal(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code.starts_with("28") || code == "3D000")
}

fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}
