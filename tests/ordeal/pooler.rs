//! A PgBouncer between processes and the server, in transaction mode, to be killed and started again.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tokio::net::UnixStream;

use crate::wait::until_so;

const PROGRAM: &str = "/usr/sbin/pgbouncer";
/// Part of its socket's name.
const PORT: u16 = 6432;
/// Sessions of the server that all processes of a run share: fewer than they would open.
const SESSIONS: u32 = 30;
const PATIENCE: Duration = Duration::from_secs(30);

/// A pooler. It ends with this value, and with this process.
pub struct Pooler {
    folder: PathBuf,
    owner: (u32, u32),
    child: Mutex<Option<Child>>,
}

/// Whether this machine has one.
pub fn is_there() -> bool {
    Path::new(PROGRAM).exists()
}

impl Pooler {
    /// Starts one in front of the server at this port, as the owner of `data`, and waits until it answers.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub async fn start(server: u16, data: &Path) -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Short, because the path of a socket may not be long.
        let name = format!("ordeal-pooler-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o755).create(&folder)?;
        let owner = fs::metadata(data)?;
        let owner = (owner.uid(), owner.gid());
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\n\
             unix_socket_dir = {}\nunix_socket_mode = 0777\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {SESSIONS}\nmax_client_conn = 400\n",
            folder.display()
        );
        fs::write(folder.join("pgbouncer.ini"), config)?;
        chown(&folder, Some(owner.0), Some(owner.1))?;
        let pooler = Self { folder, owner, child: Mutex::new(None) };
        pooler.run().await?;
        Ok(pooler)
    }

    /// The socket that it listens on.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{PORT}"))
    }

    /// Kills it and starts it again; returns how long it was away.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub async fn restart(&self, pause: Duration) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.end();
        tokio::time::sleep(pause).await;
        self.run().await?;
        Ok(begun.elapsed())
    }

    /// Ends it, and the sessions that it has.
    pub fn end(&self) {
        if let Some(mut child) = self.child().take() {
            // Already gone is fine.
            let _ = child.kill();
            let _ = child.wait();
        }
        // Left lying by one that was killed: the next one refuses to begin beside it.
        let _ = fs::remove_file(self.socket());
    }

    async fn run(&self) -> anyhow::Result<()> {
        let mut command = Command::new("setpriv");
        // It refuses to run as root.
        if rustix::process::getuid().is_root() {
            command.args(["--reuid", &self.owner.0.to_string(), "--regid", &self.owner.1.to_string(), "--clear-groups"]);
        }
        command.args(["--pdeathsig", "KILL", PROGRAM, "-q"]).arg(self.folder.join("pgbouncer.ini"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        *self.child() = Some(command.spawn().context("PgBouncer cannot be started")?);
        let answers = until_so(PATIENCE, || async { anyhow::Ok(UnixStream::connect(self.socket()).await.is_ok()) }).await?;
        ensure!(answers, "PgBouncer does not answer");
        Ok(())
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().expect("no holder of this lock panics")
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.end();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
