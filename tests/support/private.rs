//! A server of a test's own, to stop and to kill: it keeps what is committed, as a real one does.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use embedded::{Cluster, Options};
use sqlx::{PgPool, postgres::PgPoolOptions};

use super::wait;

/// The server. Its folder goes with it.
pub struct Private {
    // Before the folder: fields are dropped in order.
    cluster: Option<Cluster>,
    pool: PgPool,
    url: String,
    _folder: Folder,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is in cargo's own folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Private {
    /// Makes and starts it, with every migration applied to its database `postgres`: some seconds.
    pub async fn start() -> Self {
        let server = Self::bare().await;
        migrations::run(&mut server.pool.acquire().await.expect("a new server accepts connections"))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        server
    }

    /// Makes and starts it, as empty as it comes.
    pub async fn bare() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("private-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = Folder(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        let options = Options::kept(&folder.0);
        let cluster = blocking(move || Cluster::start(&options).unwrap_or_else(|error| panic!("{error}"))).await;
        let url = cluster.url("postgres");
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .acquire_timeout(Duration::from_secs(20))
            .connect(&url)
            .await
            .expect("a new server accepts connections");
        Self { cluster: Some(cluster), pool, url, _folder: folder }
    }

    /// Connections to it.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Its address, for another process.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of one of its databases, for one of its users.
    pub fn url_of(&self, user: &str, database: &str) -> String {
        self.cluster().url(database).replacen("postgres@", &format!("{user}@"), 1)
    }

    /// Ends its main process with SIGKILL and starts it again; it recovers as after a crash. Returns how long that took.
    pub async fn crash(&mut self) -> Duration {
        let begun = std::time::Instant::now();
        self.with(|cluster| {
            cluster.kill().unwrap_or_else(|error| panic!("{error}"));
            assert!(cluster.recover().unwrap_or_else(|error| panic!("{error}")), "it had to be started");
        })
        .await;
        self.until_it_answers().await;
        begun.elapsed()
    }

    /// Stops it in the orderly way, as an administrator would: sessions are ended.
    pub async fn stop(&mut self) {
        let pid = self.cluster().postmaster_pid().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill can be run").success());
        wait::until("the server stops", Duration::from_secs(30), || async { self.cluster().postmaster_pid().is_none() }).await;
    }

    /// Starts it again after [`Private::stop`].
    pub async fn start_again(&mut self) {
        let started = self.with(|cluster| cluster.recover().unwrap_or_else(|error| panic!("{error}"))).await;
        assert!(started, "it had to be started");
        self.until_it_answers().await;
    }

    const fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().expect("taken only within `with`")
    }

    async fn with<T: Send + 'static>(&mut self, act: impl FnOnce(&mut Cluster) -> T + Send + 'static) -> T {
        let mut cluster = self.cluster.take().expect("put back below");
        let (cluster, value) = blocking(move || {
            let value = act(&mut cluster);
            (cluster, value)
        })
        .await;
        self.cluster = Some(cluster);
        value
    }

    /// The pool's connections of before are found broken one by one.
    async fn until_it_answers(&self) {
        let answers = || async { sqlx::query("select 1").execute(&self.pool).await.is_ok() };
        wait::until("the server answers", Duration::from_secs(30), answers).await;
    }
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(act).await.expect("the blocking part does not panic")
}
