//! The PostgreSQL of runs: a primary, and perhaps a synchronous standby, to kill, to stop and to promote. Its address is a
//! proxy's, so that it stays the same whoever is the primary.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use embedded::{Cluster, Options};
use rustix::process::Signal;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::{Mutex, watch};

use crate::{node::Node, proxy::Proxy};

const PATIENCE: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(50);

/// The server.
pub struct Server {
    nodes: Mutex<Nodes>,
    folder: PathBuf,
    front: Proxy,
    primary: watch::Sender<PathBuf>,
    next: AtomicU32,
    starts: std::sync::Mutex<Vec<DateTime<Utc>>>,
}

struct Nodes {
    primary: Node,
    standby: Option<Node>,
    made: u32,
}

/// The database of one run.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// Its address, where the weather is always fair.
    pub url: String,
}

impl Server {
    /// Makes and starts it in a folder, with a migrated template; and a synchronous standby if one is wanted. Everything
    /// that is committed is kept.
    ///
    /// # Errors
    /// When there is no PostgreSQL, or it does not start.
    pub async fn start(folder: &Path, standby: bool) -> anyhow::Result<Self> {
        crate::process::place::watch_here();
        // The shop and the probes speak HTTP; another part of this process may have chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (bindir, pristine) = pristine(folder).await?;
        let data = folder.join("node-0");
        copy(&pristine, &data)?;
        let mut primary = Node::of(&bindir, data)?;
        primary.start().await?;
        let (sender, socket) = watch::channel(primary.socket());
        let front = Proxy::start(socket).await?;
        let nodes = Mutex::new(Nodes { primary, standby: None, made: 0 });
        let server =
            Self { nodes, folder: folder.into(), front, primary: sender, next: AtomicU32::new(0), starts: std::sync::Mutex::default() };
        if standby {
            server.attach(&mut *server.nodes.lock().await).await?;
        }
        Ok(server)
    }

    /// Makes a database for one run.
    ///
    /// # Errors
    /// The server's.
    pub async fn database(&self) -> anyhow::Result<Database> {
        let name = format!("ordeal_{}", self.next.fetch_add(1, Ordering::Relaxed));
        let mut admin = self.admin().await?;
        admin.execute(AssertSqlSafe(format!("drop database if exists {name} with (force)"))).await?;
        admin.execute(AssertSqlSafe(format!("create database {name} template {}", template()))).await?;
        Ok(Database { url: self.front.url(&name), name })
    }

    /// Drops a run's database.
    ///
    /// # Errors
    /// The server's.
    pub async fn drop_database(&self, name: &str) -> anyhow::Result<()> {
        let mut admin = self.admin().await?;
        admin.execute(AssertSqlSafe(format!("drop database if exists {name} with (force)"))).await?;
        Ok(())
    }

    /// The socket of the primary, now and whenever another becomes it.
    pub fn socket(&self) -> watch::Receiver<PathBuf> {
        self.primary.subscribe()
    }

    /// Ends the primary's main process with SIGKILL and starts it again. Returns how long that took.
    ///
    /// # Errors
    /// When it does not start again.
    pub async fn crash(&self) -> anyhow::Result<Duration> {
        self.stop(Signal::KILL).await
    }

    /// Stops the primary as an administrator in a hurry does, and starts it again: `QUIT` is the immediate stop, which
    /// recovers as after a crash, `INT` the fast one, which ends sessions.
    ///
    /// # Errors
    /// When it does not stop, or does not start again.
    pub async fn stop(&self, signal: Signal) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let mut nodes = self.nodes.lock().await;
        nodes.primary.end(signal).await?;
        self.starts_again();
        nodes.primary.start().await?;
        Ok(begun.elapsed())
    }

    /// Lets none of the primary's files grow past a limit for a while, as a full disk does; returns whether it went down.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn fill_disk(&self, limit: u64, time: Duration) -> anyhow::Result<bool> {
        let mut nodes = self.nodes.lock().await;
        nodes.primary.limit_files(Some(limit))?;
        tokio::time::sleep(time).await;
        let lifted = nodes.primary.limit_files(None);
        let down = nodes.primary.has_ended();
        if down {
            self.starts_again();
        } else {
            lifted?;
        }
        nodes.primary.start().await?;
        Ok(down)
    }

    fn starts_again(&self) {
        self.starts.lock().expect("no holder of this lock panics").push(Utc::now());
    }

    /// When the primary was started again after it had been down: no connection is older than the last of these.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    pub fn starts(&self) -> Vec<DateTime<Utc>> {
        self.starts.lock().expect("no holder of this lock panics").clone()
    }

    /// The port at which whoever is the primary can be reached.
    pub fn port(&self) -> u16 {
        self.front.port()
    }

    /// The folder of its nodes' logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Something that the server's owner owns.
    pub async fn data(&self) -> PathBuf {
        self.nodes.lock().await.primary.data().into()
    }

    /// Kills the primary, makes the standby the primary, and makes a new standby. Returns how long nobody could commit;
    /// `None` when there is no standby.
    ///
    /// # Errors
    /// When the standby does not become the primary, or cannot be copied.
    pub async fn promote(&self) -> anyhow::Result<Option<Duration>> {
        let begun = Instant::now();
        let mut nodes = self.nodes.lock().await;
        let Some(standby) = nodes.standby.take() else { return Ok(None) };
        nodes.primary.end(Signal::KILL).await?;
        let old = std::mem::replace(&mut nodes.primary, standby);
        let mut connection = PgConnection::connect(&nodes.primary.url("postgres")).await?;
        let promoted: bool = sqlx::query_scalar("select pg_promote(true, 60)").fetch_one(&mut connection).await?;
        ensure!(promoted, "the standby does not become the primary");
        // There is no standby to wait for now; until this is done nothing is acknowledged.
        connection.execute("alter system set synchronous_standby_names = ''").await?;
        connection.execute("select pg_reload_conf()").await?;
        self.primary.send_replace(nodes.primary.socket());
        let down = begun.elapsed();
        old.remove();
        self.attach(&mut nodes).await?;
        Ok(Some(down))
    }

    /// Makes a standby that every commit waits for.
    async fn attach(&self, nodes: &mut Nodes) -> anyhow::Result<()> {
        nodes.made += 1;
        let data = self.folder.join(format!("node-{}", nodes.made));
        // Left by a run that was killed.
        let _ = fs::remove_dir_all(&data);
        nodes.standby = Some(nodes.primary.standby(data).await?);
        let mut connection = PgConnection::connect(&nodes.primary.url("postgres")).await?;
        connection.execute("alter system set synchronous_standby_names = '*'").await?;
        connection.execute("select pg_reload_conf()").await?;
        let begun = Instant::now();
        loop {
            let waits: bool =
                sqlx::query_scalar("select exists (select from pg_stat_replication where state = 'streaming' and sync_state = 'sync')")
                    .fetch_one(&mut connection)
                    .await?;
            if waits {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "the new standby does not follow");
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn admin(&self) -> anyhow::Result<PgConnection> {
        let begun = Instant::now();
        loop {
            match PgConnection::connect(&self.front.url("postgres")).await {
                Ok(connection) => return Ok(connection),
                Err(error) if begun.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

/// The programs of the server, and a data folder with the template, which no run writes to.
async fn pristine(folder: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let options = Options::kept(folder);
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options)).await??;
    migrate(&cluster).await?;
    let (bindir, data) = (cluster.bindir().to_path_buf(), cluster.data_dir().to_path_buf());
    tokio::task::spawn_blocking(move || cluster.stop()).await??;
    Ok((bindir, data))
}

async fn migrate(cluster: &Cluster) -> anyhow::Result<()> {
    let mut admin = PgConnection::connect(&cluster.url("postgres")).await?;
    let template = template();
    let known: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1 and datistemplate)")
        .bind(&template)
        .fetch_one(&mut admin)
        .await?;
    if known {
        return Ok(admin.close().await?);
    }
    admin.execute(AssertSqlSafe(format!("drop database if exists {template}"))).await?;
    admin.execute(AssertSqlSafe(format!("create database {template}"))).await?;
    let mut connection = PgConnection::connect(&cluster.url(&template)).await?;
    migrations::run(&mut connection).await?;
    for statement in include_str!("stage.sql").split(";\n").filter(|statement| !statement.trim().is_empty()) {
        connection.execute(statement).await.context("the run's own tables")?;
    }
    connection.close().await?;
    admin.execute(AssertSqlSafe(format!("alter database {template} with is_template true"))).await?;
    Ok(admin.close().await?)
}

/// The name of the template for these migrations.
fn template() -> String {
    format!("ordeal_template_{}", migrations::fingerprint())
}

/// Copies a data folder with its owners and modes.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let _ = fs::remove_dir_all(to);
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    ensure!(status.success(), "{} cannot be copied", from.display());
    Ok(())
}
