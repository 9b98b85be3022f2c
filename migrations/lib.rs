//! Brings a database to this program's schema: numbered SQL, forward only, one transaction.
//!
//! Any number of programs may call [`run`] at once: an advisory lock of the transaction lets one through at a time.
//! A database that a newer program has migrated is refused, untouched.

use sqlx::{Connection, PgConnection, migrate::MigrateError, migrate::Migrator};

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// Why a database could not be brought to this program's schema.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is older than 14.
    #[error("the database is PostgreSQL {0}, and rawops needs 14 or newer: point DATABASE_URL at a newer server")]
    ServerTooOld(String),
    /// A newer program has been here.
    #[error(
        "the database has migration {0}, which this program does not know: a newer rawops migrated it; use that version. Nothing was changed"
    )]
    SchemaNewer(i64),
    /// A migration that ran before has another text now.
    #[error(
        "migration {0} was applied to the database with another text than this program's: use the rawops that made the database. Nothing was changed"
    )]
    Changed(i64),
    /// The database refused, or is away.
    #[error("the migration failed and changed nothing: {0}")]
    Database(#[from] sqlx::Error),
    /// Any other fault of a migration.
    #[error("the migration failed and changed nothing: {0}")]
    Migrate(MigrateError),
}

/// The number of the newest migration this program knows.
pub fn newest() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// A text that changes whenever a migration does: names the template database of the tests.
pub fn fingerprint() -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for migration in MIGRATOR.iter() {
        migration.checksum.hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// Applies what is missing; returns the migrations that this call applied.
///
/// # Errors
/// See [`Error`]. Nothing is changed then.
pub async fn run(connection: &mut PgConnection) -> Result<Vec<i64>, Error> {
    check_server(connection).await?;
    let mut tx = connection.begin().await?;
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('rawops.migrate', 0))").execute(&mut *tx).await?;
    // From here on a lock is waited for this long at most, so that a migration never makes the running system queue up behind it.
    sqlx::query("set local lock_timeout = '10s'").execute(&mut *tx).await?;
    let before = applied(&mut tx).await?;
    if let Some(unknown) = before.iter().find(|version| **version > newest()) {
        return Err(Error::SchemaNewer(*unknown));
    }
    if MIGRATOR.iter().any(|migration| !before.contains(&migration.version)) {
        let mut migrator = Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
        migrator.set_locking(false).run_direct(None, &mut *tx, false).await.map_err(explain)?;
    }
    let after = applied(&mut tx).await?;
    tx.commit().await?;
    Ok(after.into_iter().filter(|version| !before.contains(version)).collect())
}

/// Whether the database has exactly this program's schema; says why not.
///
/// # Errors
/// See [`Error`]; [`Error::SchemaNewer`] among them.
pub async fn is_current(connection: &mut PgConnection) -> Result<bool, Error> {
    let applied = applied(connection).await?;
    match applied.iter().find(|version| **version > newest()) {
        Some(unknown) => Err(Error::SchemaNewer(*unknown)),
        None => Ok(MIGRATOR.iter().all(|migration| applied.contains(&migration.version))),
    }
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<i64>, sqlx::Error> {
    let exists: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut *connection).await?;
    if !exists {
        return Ok(Vec::new());
    }
    sqlx::query_scalar("select version from _sqlx_migrations order by version").fetch_all(connection).await
}

async fn check_server(connection: &mut PgConnection) -> Result<(), Error> {
    let (number, version): (i32, String) =
        sqlx::query_as("select current_setting('server_version_num')::integer, current_setting('server_version')")
            .fetch_one(connection)
            .await?;
    if number < 140_000 { Err(Error::ServerTooOld(version)) } else { Ok(()) }
}

fn explain(error: MigrateError) -> Error {
    match error {
        MigrateError::VersionMissing(version) => Error::SchemaNewer(version),
        MigrateError::VersionMismatch(version) => Error::Changed(version),
        other => Error::Migrate(other),
    }
}
