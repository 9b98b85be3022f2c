//! Where the database is: the one that was named, or the private server in `.rawops`.

use std::{path::PathBuf, str::FromStr, time::Duration};

use anyhow::{Context, bail};
use embedded::{Cluster, Options};
use engine::sqlstate;
use sqlx::{Connection, PgConnection, PgPool, postgres::PgConnectOptions};

/// The database of the private server.
pub const NAME: &str = "rawops";
/// How long a command waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// A database that answered, and the private server when it is that one's.
pub struct Database {
    options: PgConnectOptions,
    cluster: Option<Cluster>,
}

/// The settings of the private server of this folder.
pub fn private() -> Options {
    Options::kept(PathBuf::from(".rawops"))
}

/// The address that was given, if one was; refuses an empty or a wrong one.
pub fn given(url: Option<&str>) -> anyhow::Result<Option<PgConnectOptions>> {
    let Some(url) = url else { return Ok(None) };
    if url.trim().is_empty() {
        bail!("DATABASE_URL is set but empty: set it to an address like postgres://user@host/database, or unset it");
    }
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        bail!("DATABASE_URL is no PostgreSQL address: expected postgres://user@host/database");
    }
    match PgConnectOptions::from_str(url) {
        Ok(options) => Ok(Some(options)),
        // Not the address itself, which may hold a password.
        Err(error) => bail!("DATABASE_URL is no PostgreSQL address ({error}): expected postgres://user@host/database"),
    }
}

/// The address that a process of the Procfile was given.
pub async fn required(url: Option<&str>) -> anyhow::Result<PgConnectOptions> {
    let options = given(url)?.context("DATABASE_URL is not set: set it to an address like postgres://user@host/database, or use `rawops up`, which brings its own PostgreSQL")?;
    through_pooler(options).await
}

/// The same database, through the pooler that `DATABASE_POOLER` says there is.
async fn through_pooler(options: PgConnectOptions) -> anyhow::Result<PgConnectOptions> {
    match std::env::var("DATABASE_POOLER").unwrap_or_default().as_str() {
        "" => Ok(options),
        "transaction" => Ok(engine::pooler::through(options).await?),
        other => bail!("DATABASE_POOLER is {other:?}; expected transaction, or nothing where connections keep their session"),
    }
}

impl Database {
    /// Opens the database for a command: the given one, else the private one, which is brought up if it is down.
    /// `report` hears of each step with the time it took.
    pub async fn open(url: Option<&str>, report: impl FnMut(&str, Duration) + Send + 'static) -> anyhow::Result<Self> {
        let Some(options) = given(url)? else { return Self::open_private(report).await };
        let options = through_pooler(options).await?;
        let database = Self { options: options.application_name("rawops"), cluster: None };
        database.connect().await?.close().await.context("the database hung up")?;
        Ok(database)
    }

    async fn open_private(report: impl FnMut(&str, Duration) + Send + 'static) -> anyhow::Result<Self> {
        let cluster = tokio::task::spawn_blocking(move || embedded::ensure(&private(), report)).await??;
        let options = |name: &str| -> anyhow::Result<PgConnectOptions> { Ok(PgConnectOptions::from_str(&cluster.url(name))?) };
        let database = Self { options: options(NAME)?.application_name("rawops"), cluster: None };
        create(&options("postgres")?).await?;
        Ok(Self { cluster: Some(cluster), ..database })
    }

    /// One connection of its own, or a sentence about what is wrong.
    pub async fn connect(&self) -> anyhow::Result<PgConnection> {
        connect(&self.options).await
    }

    /// At most so many connections, made when they are needed.
    pub fn pool(&self, connections: u32) -> PgPool {
        pool(self.options.clone(), connections)
    }

    /// How to connect.
    pub const fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// The private server, to be looked after by somebody else from now on.
    pub const fn take_cluster(&mut self) -> Option<Cluster> {
        self.cluster.take()
    }

    /// Refuses a database whose schema is not this program's.
    pub async fn require_schema(&self) -> anyhow::Result<()> {
        let mut connection = self.connect().await?;
        if migrations::is_current(&mut connection).await? {
            return Ok(());
        }
        bail!("the database's schema is older than this program: run `rawops migrate` first")
    }

    /// Leaves the database; the last to leave the private server stops it.
    pub async fn close(mut self) -> anyhow::Result<()> {
        if let Some(cluster) = self.cluster.take() {
            tokio::task::spawn_blocking(move || cluster.stop()).await??;
        }
        Ok(())
    }
}

/// Does one thing with a database of this program's schema, then leaves it.
pub async fn with_pool<T>(url: Option<&str>, act: impl AsyncFnOnce(&PgPool) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let database = Database::open(url, |_, _| ()).await?;
    database.require_schema().await?;
    let pool = database.pool(2);
    let done = act(&pool).await;
    pool.close().await;
    database.close().await?;
    done
}

/// An error, with the way out when the database refused the user, and in the database's words when it refused a value.
pub fn explained(error: anyhow::Error) -> anyhow::Error {
    let mut refusals = error.chain().filter_map(|cause| cause.downcast_ref::<sqlx::Error>()).filter_map(sqlx::Error::as_database_error);
    let Some(refused) = refusals.next() else { return error };
    match refused.code().as_deref() {
        Some("42501") => anyhow::anyhow!(
            "this user may not do that: {}; make it a member of the role for it, as in `grant rawops_operator to …` \
             (rawops_reader looks, rawops_operator acts, rawops_migrator migrates)",
            refused.message()
        ),
        // What was named is not there.
        Some("P0002") => anyhow::anyhow!("{}; nothing was changed", refused.message()),
        Some(code) if sqlstate::OF_VALUE.iter().any(|class| code.starts_with(class)) => {
            anyhow::anyhow!("the database does not take that: {}; nothing was changed", refused.message())
        }
        _ => error,
    }
}

/// A pool for a process: its connections are made when they are needed.
pub fn pool(options: PgConnectOptions, connections: u32) -> PgPool {
    engine::pool_options().max_connections(connections).acquire_timeout(PATIENCE).connect_lazy_with(options)
}

async fn connect(options: &PgConnectOptions) -> anyhow::Result<PgConnection> {
    let name = options.get_database().unwrap_or("that bears the user's name");
    let place = format!("database {name} on {}:{}", options.get_host(), options.get_port());
    match tokio::time::timeout(PATIENCE, PgConnection::connect_with(options)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => bail!("cannot open {place}: {}. Is the server running, and is DATABASE_URL right?", reason(&error)),
        Err(_) => bail!("cannot open {place}: no answer within {} s. Is DATABASE_URL right?", PATIENCE.as_secs()),
    }
}

/// The words that matter of a database's error.
fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_string(),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// Makes the private server's database; another process may do it at the same moment.
async fn create(options: &PgConnectOptions) -> anyhow::Result<()> {
    let mut admin = connect(options).await?;
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)").bind(NAME).fetch_one(&mut admin).await?;
    if !exists {
        match sqlx::query("create database rawops").execute(&mut admin).await {
            Err(error) if error.as_database_error().is_none_or(|error| !matches!(error.code().as_deref(), Some("42P04" | "23505"))) => {
                return Err(error).context("the private server's database cannot be made");
            }
            _ => {}
        }
    }
    admin.close().await?;
    Ok(())
}
