//! A real database for each test, cloned from a migrated template in some 0.1 s.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use embedded::Cluster;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};

/// The server that all tests of this checkout share.
pub fn cluster() -> &'static Cluster {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pg");
    embedded::scratch::shared(&folder).unwrap_or_else(|error| panic!("{error}"))
}

/// One test's own database. Dropped with the test; kept for inspection when the test fails.
pub struct Database {
    name: String,
    pool: PgPool,
}

impl Database {
    /// A fresh database with every migration applied.
    pub async fn new() -> Self {
        let template = template().await;
        Self::create(&format!("template {template}")).await
    }

    /// A fresh database with nothing in it.
    pub async fn empty() -> Self {
        Self::create("").await
    }

    async fn create(clause: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // As the program does at its start: HTTP clients that are built without naming one take it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let name = format!("t_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = admin().await;
        let strategy = if clause.is_empty() || !has_strategies(&mut admin).await { "" } else { "strategy file_copy" };
        admin.execute(AssertSqlSafe(format!("create database {name} {clause} {strategy}"))).await.expect("a database can be created");
        let pool = engine::pool_options()
            .max_connections(20)
            .acquire_timeout(Duration::from_secs(20))
            .connect(&cluster().url(&name))
            .await
            .expect("a new database accepts connections");
        Self { name, pool }
    }

    /// Connections to it.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Its name on the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its schema, as `rawops migrate --schema` prints it.
    pub async fn schema(&self) -> String {
        let mut connection = self.pool.acquire().await.expect("a connection");
        migrations::dump::schema(&mut connection).await.expect("the catalog can be read")
    }

    /// Its address, for another process.
    pub fn url(&self) -> String {
        cluster().url(&self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("database {} is kept: {}", self.name, self.url());
            return;
        }
        let name = self.name.clone();
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a small runtime can be built");
            runtime.block_on(async {
                let mut admin = admin().await;
                // A name nobody uses again; a failure leaves a folder that goes with the cluster.
                let _ = admin.execute(AssertSqlSafe(format!("drop database if exists {name} with (force)"))).await;
            });
        });
        let _ = dropping.join();
    }
}

/// A superuser's connection to the server.
pub async fn admin() -> PgConnection {
    PgConnection::connect(&cluster().url("postgres")).await.expect("the test cluster accepts connections")
}

async fn has_strategies(admin: &mut PgConnection) -> bool {
    let number: i32 =
        sqlx::query_scalar("select current_setting('server_version_num')::integer").fetch_one(admin).await.expect("a setting can be read");
    number >= 150_000
}

/// The migrated template; made once per version of the migrations, by one process at a time.
async fn template() -> String {
    static NAME: tokio::sync::OnceCell<String> = tokio::sync::OnceCell::const_new();
    NAME.get_or_init(|| async {
        let name = format!("template_{}", migrations::fingerprint());
        let mut admin = admin().await;
        admin.execute("select pg_advisory_lock(4711)").await.expect("a lock can be taken");
        let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1 and datistemplate)")
            .bind(&name)
            .fetch_one(&mut admin)
            .await
            .expect("databases can be listed");
        if !exists {
            make_template(&mut admin, &name).await;
        }
        admin.execute("select pg_advisory_unlock(4711)").await.expect("a lock can be freed");
        name
    })
    .await
    .clone()
}

async fn make_template(admin: &mut PgConnection, name: &str) {
    admin
        .execute(AssertSqlSafe(format!("drop database if exists {name} with (force)")))
        .await
        .expect("an unfinished template can be dropped");
    admin.execute(AssertSqlSafe(format!("create database {name}"))).await.expect("a template can be created");
    let mut connection = PgConnection::connect(&cluster().url(name)).await.expect("a new database accepts connections");
    migrations::run(&mut connection).await.unwrap_or_else(|error| panic!("{error}"));
    connection.close().await.expect("a connection can be closed");
    admin
        .execute(AssertSqlSafe(format!("alter database {name} with is_template true allow_connections false")))
        .await
        .expect("a template can be sealed");
}
