//! One PostgreSQL server: started, killed, stopped, promoted, and copied to a standby.

use std::{
    fs,
    net::Ipv4Addr,
    os::unix::fs::{DirBuilderExt, MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection};

use crate::{disk::Disk, wait::until};

/// How long a server may take to answer after it was started.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(20);
const SETTINGS: [&str; 9] = [
    "shared_buffers=128MB",
    "max_connections=300",
    "wal_level=replica",
    "hot_standby=on",
    "wal_keep_size=512MB",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "unix_socket_permissions=0777",
];

/// Where a server listens besides its socket.
#[derive(Debug, Clone)]
pub struct Listen {
    /// The port, which is a part of the socket's name too.
    pub port: u16,
    /// Addresses; none where nobody comes over a network.
    pub addresses: Vec<Ipv4Addr>,
}

/// One server. It ends with this value, and with this process.
pub struct Node {
    listen: Listen,
    bindir: PathBuf,
    data: PathBuf,
    sockets: PathBuf,
    log: PathBuf,
    child: Option<Child>,
    disk: Option<Disk>,
}

impl Node {
    /// The server of a data folder, which may be a disk of its own, down.
    ///
    /// # Errors
    /// The file system's.
    pub fn of(bindir: &Path, data: PathBuf, disk: Option<Disk>, listen: Listen) -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Short, because the path of a socket may not be long.
        let name = format!("ordeal-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let sockets = std::env::temp_dir().join(name);
        fs::create_dir_all(&sockets)?;
        let owner = fs::metadata(data.parent().context("a data folder is in a folder")?)?;
        let owner = fs::metadata(&data).unwrap_or(owner);
        chown(&sockets, Some(owner.uid()), Some(owner.gid()))?;
        let log = data.with_extension("log");
        Ok(Self { listen, bindir: bindir.into(), data, sockets, log, child: None, disk })
    }

    /// The socket that it listens on.
    pub fn socket(&self) -> PathBuf {
        self.sockets.join(format!(".s.PGSQL.{}", self.listen.port))
    }

    /// The address of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost:{}/{database}?host={}", self.listen.port, self.sockets.display())
    }

    /// Where it listens besides its socket.
    pub const fn listen(&self) -> &Listen {
        &self.listen
    }

    /// Starts it and waits until it answers. Sessions of a killed server may still be going: it is tried again.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            if self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None))) {
                let mut command = self.command("postgres")?;
                let addresses: Vec<String> = self.listen.addresses.iter().map(ToString::to_string).collect();
                command.arg("-D").arg(&self.data).arg("-k").arg(&self.sockets).args(["-p", &self.listen.port.to_string()]);
                command.arg("-c").arg(format!("listen_addresses={}", addresses.join(",")));
                command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
                self.child = Some(command.spawn().context("a server cannot be started")?);
            }
            if let Ok(connection) = PgConnection::connect(&self.url("postgres")).await {
                return Ok(connection.close().await?);
            }
            ensure!(begun.elapsed() < PATIENCE, "the server of {} does not answer: see {}", self.data.display(), self.log.display());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Sends its main process a signal and waits until that has ended.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
            // It may have ended by itself.
            let _ = kill_process(pid, signal);
        }
        let has_ended = until(PATIENCE, || !matches!(child.try_wait(), Ok(None))).await;
        ensure!(has_ended, "the server of {} does not end", self.data.display());
        Ok(())
    }

    /// Whether its main process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// The folder of its data.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Leaves so much room on its disk, in bytes; or lifts that. Where it has no disk of its own, no file of its grows beyond
    /// as much.
    ///
    /// # Errors
    /// When the disk's size cannot be changed, or the main process does not take the limit.
    pub fn leave_room(&self, room: Option<u64>) -> anyhow::Result<()> {
        match &self.disk {
            Some(disk) => Ok(disk.leave(room)?),
            None => self.limit_files(room),
        }
    }

    /// Lets no process of it make a file larger than this, in bytes; or lifts that. Only their owner may, whatever rights
    /// this process has.
    fn limit_files(&self, limit: Option<u64>) -> anyhow::Result<()> {
        let Some(main) = self.child.as_ref().map(Child::id) else { return Ok(()) };
        let size = limit.map_or_else(|| "unlimited".into(), |bytes| bytes.to_string());
        // The main process first, from which new ones have it; and again for those that come meanwhile.
        let script = format!(
            "prlimit --pid {main} --fsize={size}: || exit 1
             for time in 1 2; do for pid in $(cat /proc/{main}/task/*/children); do prlimit --pid $pid --fsize={size}: ; done; done; true"
        );
        let mut command = self.as_owner()?;
        let status = command.args(["sh", "-c", &script]).status()?;
        ensure!(status.success(), "the size of files cannot be limited: see {}", self.log.display());
        Ok(())
    }

    /// Makes a standby of it that answers, with its data in `data`, and that listens elsewhere.
    ///
    /// # Errors
    /// When it cannot be copied, or the copy does not start.
    pub async fn standby(&self, data: PathBuf, listen: Listen) -> anyhow::Result<Self> {
        let owner = fs::metadata(&self.data)?;
        fs::DirBuilder::new().mode(0o700).create(&data)?;
        chown(&data, Some(owner.uid()), Some(owner.gid()))?;
        let disk = Disk::at(&data)?;
        let mut standby = Self::of(&self.bindir, data, disk, listen)?;
        let mut copying = self.command("pg_basebackup")?;
        copying
            .arg("-h")
            .arg(&self.sockets)
            .args(["-p", &self.listen.port.to_string()])
            .args(["-U", "postgres", "-R", "-X", "stream", "-c", "fast", "-N"])
            .arg("-D")
            .arg(&standby.data);
        let status = tokio::task::spawn_blocking(move || copying.status()).await??;
        ensure!(status.success(), "the server cannot be copied: see {}", self.log.display());
        standby.start().await?;
        Ok(standby)
    }

    /// One of the server's programs, as the owner of the data, and no longer alive than this process.
    fn command(&self, program: &str) -> anyhow::Result<Command> {
        let mut command = self.as_owner()?;
        command.arg(self.bindir.join(program));
        Ok(command)
    }

    /// A program to be named, as the owner of the data, and no longer alive than this process.
    fn as_owner(&self) -> anyhow::Result<Command> {
        let folder = self.data.parent().context("a data folder is in a folder")?;
        let owner = fs::metadata(&self.data).or_else(|_| fs::metadata(folder))?;
        let mut command = Command::new("setpriv");
        if rustix::process::getuid().is_root() {
            command.args(["--reuid", &owner.uid().to_string(), "--regid", &owner.gid().to_string(), "--clear-groups"]);
        }
        let log = fs::File::options().create(true).append(true).open(&self.log)?;
        command.args(["--pdeathsig", "KILL"]).current_dir(folder);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// Takes its data away; it is down.
    pub fn remove(self) {
        let data = self.data.clone();
        drop(self);
        // What stays is in the run's folder.
        let _ = fs::remove_dir_all(data);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
                let _ = kill_process(pid, Signal::QUIT);
            }
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.sockets);
    }
}
