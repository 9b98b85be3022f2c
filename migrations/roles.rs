//! The group roles: made where the user may make roles, and granted what `roles/grant.sql` says after every migration.
//!
//! Roles belong to the server and not to a database. So they are made in a short transaction of their own, before the
//! migration, and a server on which this user may not make them is migrated all the same.

use sqlx::PgConnection;

/// The roles, each named in `roles/create.sql`.
pub const NAMES: [&str; 6] = ["rawops_owner", "rawops_migrator", "rawops_runtime", "rawops_ingest", "rawops_operator", "rawops_reader"];

const CREATE: &str = include_str!("roles/create.sql");
const CLOSE: &str = include_str!("roles/close.sql");
const GRANT: &str = include_str!("roles/grant.sql");

/// What the roles are made of, for [`crate::fingerprint`].
pub(crate) const TEXTS: [&str; 3] = [CREATE, CLOSE, GRANT];

/// The roles that the server does not have.
///
/// # Errors
/// The database's.
pub async fn missing(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("select name from unnest($1::text[]) with ordinality w (name, n) where to_regrole(name) is null order by n")
        .bind(&NAMES[..])
        .fetch_all(connection)
        .await
}

/// Makes the roles that are missing; any number of migrations of any databases may do so at once.
///
/// # Errors
/// The database's: `42501` when this user may not make roles. Nothing is changed then.
pub async fn create(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    if missing(connection).await?.is_empty() {
        return Ok(());
    }
    sqlx::raw_sql(CREATE).execute(connection).await.map(drop)
}

/// States who may do what, in the migration's transaction.
pub(crate) async fn grant(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(CLOSE).execute(&mut *connection).await?;
    if missing(connection).await?.is_empty() {
        sqlx::raw_sql(GRANT).execute(connection).await?;
    }
    Ok(())
}
