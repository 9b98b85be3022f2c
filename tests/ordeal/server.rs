//! The PostgreSQL of runs: a primary, and perhaps a synchronous standby, to kill, to stop and to promote. Its address is a
//! proxy's, so that it stays the same whoever is the primary.

mod pristine;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use rustix::process::Signal;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::{Mutex, watch};

use pristine::{copy, pristine, template};

use crate::{
    faults::Class,
    namespace::{self, Namespace},
    node::{Listen, Node},
    proxy::Proxy,
    stage::free_port,
    wait::{until_accepted, until_so},
};

/// Part of a socket's name, where nobody comes over a network.
const PORT: u16 = 5432;
/// How many workers live in namespaces where they can be partitioned; the others are behind the proxy.
const NAMESPACES: usize = 2;
const PATIENCE: Duration = Duration::from_mins(2);

/// The server.
pub struct Server {
    nodes: Mutex<Nodes>,
    folder: PathBuf,
    front: Proxy,
    primary: watch::Sender<PathBuf>,
    next: AtomicU32,
    starts: std::sync::Mutex<Vec<DateTime<Utc>>>,
    /// The port of every node, on addresses that nobody else has.
    port: u16,
    // After the nodes, which listen on their wires.
    namespaces: Vec<Arc<Namespace>>,
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
    /// Makes and starts it in a folder, with a migrated template, and with what faults of these classes need: a synchronous
    /// standby, namespaces. Everything that is committed is kept.
    ///
    /// # Errors
    /// When there is no PostgreSQL, or it does not start.
    pub async fn start(folder: &Path, classes: &[Class]) -> anyhow::Result<Self> {
        crate::process::place::watch_here();
        // The shop and the probes speak HTTP; another part of this process may have chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (bindir, pristine) = pristine(folder).await?;
        let data = folder.join("node-0");
        let disk = copy(&pristine, &data)?;
        let namespaces = if classes.contains(&Class::Partition) { namespaces(folder, &data)? } else { Vec::new() };
        let port = namespaces.first().map_or(Ok(PORT), |first| free_port(first.servers()[0]))?;
        let mut primary = Node::of(&bindir, data, disk, listen(port, &namespaces, 0))?;
        primary.start().await?;
        let (sender, socket) = watch::channel(primary.socket());
        let server = Self {
            nodes: Mutex::new(Nodes { primary, standby: None, made: 0 }),
            folder: folder.into(),
            front: Proxy::start(socket, 0).await?,
            primary: sender,
            next: AtomicU32::new(0),
            starts: std::sync::Mutex::default(),
            port,
            namespaces,
        };
        if classes.contains(&Class::Promotion) {
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

    /// Leaves the primary so much room on its disk for a while, in bytes; returns whether it went down.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn fill_disk(&self, room: u64, time: Duration) -> anyhow::Result<bool> {
        let mut nodes = self.nodes.lock().await;
        nodes.primary.leave_room(Some(room))?;
        tokio::time::sleep(time).await;
        let lifted = nodes.primary.leave_room(None);
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

    /// The namespaces from which the primary can be reached: none where no fault needs them.
    pub fn namespaces(&self) -> &[Arc<Namespace>] {
        &self.namespaces
    }

    /// The address of a database, from a namespace.
    pub fn direct_url(&self, database: &str) -> String {
        format!("postgres://postgres@{}:{}/{database}?sslmode=disable", namespace::PRIMARY, self.port)
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
        for (namespace, address) in self.namespaces.iter().zip(&nodes.primary.listen().addresses) {
            namespace.leads_to(*address)?;
        }
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
        let listen = listen(self.port, &self.namespaces, nodes.made);
        nodes.standby = Some(nodes.primary.standby(data, listen).await?);
        let mut connection = PgConnection::connect(&nodes.primary.url("postgres")).await?;
        connection.execute("alter system set synchronous_standby_names = '*'").await?;
        connection.execute("select pg_reload_conf()").await?;
        let primary = nodes.primary.url("postgres");
        ensure!(until_so(PATIENCE, || follows(&primary)).await?, "the new standby does not follow");
        Ok(())
    }

    async fn admin(&self) -> anyhow::Result<PgConnection> {
        let url = self.front.url("postgres");
        let connecting = until_accepted(PATIENCE, || PgConnection::connect(&url));
        Ok(tokio::time::timeout(PATIENCE, connecting).await.context("the server does not answer")?.0)
    }
}

/// Whether a standby follows this primary, so that its commits wait for it.
async fn follows(primary: &str) -> Result<bool, sqlx::Error> {
    let mut connection = PgConnection::connect(primary).await?;
    sqlx::query_scalar("select exists (select from pg_stat_replication where state = 'streaming' and sync_state = 'sync')")
        .fetch_one(&mut connection)
        .await
}

/// Namespaces for workers, who may come to the server with these data.
fn namespaces(folder: &Path, data: &Path) -> anyhow::Result<Vec<Arc<Namespace>>> {
    let trusted = format!("host all postgres {} trust\n", namespace::range());
    fs::File::options().append(true).open(data.join("pg_hba.conf"))?.write_all(trusted.as_bytes())?;
    let made: std::io::Result<Vec<_>> = (0..NAMESPACES).map(|_| Namespace::make(folder).map(Arc::new)).collect();
    made.context("network namespaces cannot be made")
}

/// Where the node of this number listens: never where the one before it does.
fn listen(port: u16, namespaces: &[Arc<Namespace>], node: u32) -> Listen {
    Listen { port, addresses: namespaces.iter().map(|namespace| namespace.servers()[node as usize % 2]).collect() }
}
