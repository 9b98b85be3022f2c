//! Brings a database to this program's schema: numbered SQL, forward only, one transaction.
//!
//! Any number of programs may call [`run`] at once: an advisory lock of the transaction lets one through at a time.
//! A database that a newer program has migrated is refused, untouched.

pub mod dump;
pub mod roles;

use sqlx::{
    AssertSqlSafe, Connection, PgConnection,
    migrate::{MigrateError, Migration, Migrator},
};

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// What of the whole house was applied.
const OF_HOUSE: &str = "_sqlx_migrations";
/// What of the engine alone was applied, beside the migrations of the program that uses it.
const OF_ENGINE: &str = "_engine_migrations";

/// How long a migration waits for a lock, so that it never makes the running system queue up behind it.
const LOCK_PATIENCE: &str = "10s";

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
    /// [`run_engine`] has been here, and nothing else.
    #[error("the database has the engine alone, as another program uses it: give rawops a database of its own. Nothing was changed")]
    EngineAlone,
    /// [`run`] has been here.
    #[error(
        "the database is a whole rawops: `rawops migrate` brings it up to date, and a program that uses the engine alone needs another. Nothing was changed"
    )]
    WholeHouse,
    /// A lock that the migration needs was not free for ten seconds.
    #[error(
        "the migration waited {LOCK_PATIENCE} for a lock that another session holds, and changed nothing: end that session, see pg_stat_activity, or try again when less is going on"
    )]
    Locked,
    /// The database refused, or is away.
    #[error("the migration failed and changed nothing: {0}")]
    Database(#[source] sqlx::Error),
    /// Any other fault of a migration.
    #[error("the migration failed and changed nothing: {0}")]
    Migrate(MigrateError),
}

/// The number of the newest migration this program knows.
pub fn newest() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// What the migrations say, in their order.
fn texts() -> impl Iterator<Item = &'static str> {
    MIGRATOR.iter().map(|migration| migration.sql.as_str())
}

/// A text that changes whenever a migration or a grant does: names the template database of the tests.
pub fn fingerprint() -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for migration in MIGRATOR.iter() {
        migration.checksum.hash(&mut hasher);
    }
    roles::TEXTS.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Applies what is missing and states the grants anew; returns the migrations that this call applied.
///
/// # Errors
/// See [`Error`]. Nothing is changed then, except that roles may have been made.
pub async fn run(connection: &mut PgConnection) -> Result<Vec<i64>, Error> {
    check_server(connection).await?;
    make_roles(connection).await?;
    let mut tx = connection.begin().await?;
    take_turn(&mut tx).await?;
    refuse_engine_alone(&mut tx).await?;
    let new = apply(&mut tx, OF_HOUSE, |_| true).await?;
    roles::grant(&mut tx).await?;
    tx.commit().await?;
    Ok(new)
}

/// Applies what is missing of the engine's own schema, for a program that uses the engine and nothing else of the house: no role is
/// made and no other schema, and the house cannot move into such a database later. What was applied is in `_engine_migrations`, so
/// that the program's own migrations can stand beside it. Returns those that this call applied.
///
/// # Errors
/// See [`Error`]. Nothing is changed then.
pub async fn run_engine(connection: &mut PgConnection) -> Result<Vec<i64>, Error> {
    check_server(connection).await?;
    let mut tx = connection.begin().await?;
    take_turn(&mut tx).await?;
    refuse_whole_house(&mut tx).await?;
    let new = apply(&mut tx, OF_ENGINE, is_of_engine).await?;
    tx.commit().await?;
    Ok(new)
}

fn is_of_engine(migration: &Migration) -> bool {
    migration.description.starts_with("engine")
}

async fn refuse_engine_alone(connection: &mut PgConnection) -> Result<(), Error> {
    if exists(connection, OF_ENGINE).await? { Err(Error::EngineAlone) } else { Ok(()) }
}

async fn refuse_whole_house(connection: &mut PgConnection) -> Result<(), Error> {
    // A program's own migrations may have the same numbers as the house's.
    if exists(connection, "raw_ops.retry_config").await? { Err(Error::WholeHouse) } else { Ok(()) }
}

/// Waits for another migration as long as it takes; from here on nothing else is waited for.
async fn take_turn(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('rawops.migrate', 0))").execute(&mut *connection).await?;
    limit_lock_waits(connection).await
}

/// Applies those of the wanted migrations that are missing in a table of those that were applied; returns them.
async fn apply(connection: &mut PgConnection, table: &'static str, is_wanted: impl Fn(&Migration) -> bool) -> Result<Vec<i64>, Error> {
    let before = applied(connection, table).await?;
    refuse_newer(&before)?;
    let wanted = || MIGRATOR.iter().filter(|migration| is_wanted(migration));
    if wanted().any(|migration| !before.contains(&migration.version)) {
        let mut migrator = Migrator::with_migrations(wanted().cloned().collect());
        migrator.dangerous_set_table_name(table);
        migrator.set_locking(false).run_direct(None, &mut *connection, false).await?;
    }
    let after = applied(connection, table).await?;
    Ok(after.into_iter().filter(|version| !before.contains(version)).collect())
}

/// Makes the roles that are missing, unless this user may not, or a newer program has been here.
async fn make_roles(connection: &mut PgConnection) -> Result<(), Error> {
    let mut tx = connection.begin().await?;
    limit_lock_waits(&mut tx).await?;
    // First: a program's own migrations may have any number.
    refuse_engine_alone(&mut tx).await?;
    refuse_newer(&applied(&mut tx, OF_HOUSE).await?)?;
    match roles::create(&mut tx).await {
        Err(error) if code(&error).as_deref() == Some("42501") => Ok(tx.rollback().await?),
        made => Ok(made.and(tx.commit().await)?),
    }
}

async fn limit_lock_waits(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("select set_config('lock_timeout', $1, true)").bind(LOCK_PATIENCE).execute(connection).await.map(drop)
}

/// Whether the database has exactly this program's schema; says why not.
///
/// # Errors
/// See [`Error`]; [`Error::SchemaNewer`] among them.
pub async fn is_current(connection: &mut PgConnection) -> Result<bool, Error> {
    let applied = applied(connection, OF_HOUSE).await?;
    refuse_newer(&applied)?;
    Ok(MIGRATOR.iter().all(|migration| applied.contains(&migration.version)))
}

fn refuse_newer(applied: &[i64]) -> Result<(), Error> {
    match applied.iter().find(|version| **version > newest()) {
        Some(unknown) => Err(Error::SchemaNewer(*unknown)),
        None => Ok(()),
    }
}

async fn applied(connection: &mut PgConnection, table: &str) -> Result<Vec<i64>, sqlx::Error> {
    if !exists(connection, table).await? {
        return Ok(Vec::new());
    }
    let text = format!("select version from {table} order by version");
    sqlx::query_scalar(AssertSqlSafe(text)).fetch_all(connection).await
}

async fn exists(connection: &mut PgConnection, table: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select to_regclass($1) is not null").bind(table).fetch_one(connection).await
}

async fn check_server(connection: &mut PgConnection) -> Result<(), Error> {
    let (number, version): (i32, String) =
        sqlx::query_as("select current_setting('server_version_num')::integer, current_setting('server_version')")
            .fetch_one(connection)
            .await?;
    if number < 140_000 { Err(Error::ServerTooOld(version)) } else { Ok(()) }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if code(&error).as_deref() == Some("55P03") { Self::Locked } else { Self::Database(error) }
    }
}

impl From<MigrateError> for Error {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version) => Self::SchemaNewer(version),
            MigrateError::VersionMismatch(version) => Self::Changed(version),
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) if code(&error).as_deref() == Some("55P03") => {
                Self::Locked
            }
            other => Self::Migrate(other),
        }
    }
}

/// The SQLSTATE of what the server refused.
fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}
