//! A running cluster and this process's share in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Instant;

use crate::choose::choose;
use crate::conf::Profile;
use crate::discover::Request;
use crate::error::Error;
use crate::home::{Data, Home};
use crate::locks::{StartLock, UsersLock};
use crate::postmaster::{self, PidFile, Start};
use crate::server::Server;
use crate::watcher::Watcher;
use crate::{Options, Report, initdb};

/// A PostgreSQL cluster that runs, and stays up as long as this value or another process's lives.
///
/// When the last user's value is dropped, the server is stopped and everything is written. After
/// `kill -9` of a user a small watcher process does the same.
#[derive(Debug)]
pub struct Cluster {
    options: Options,
    home: Home,
    server: Server,
    data: PathBuf,
    socket_dir: PathBuf,
    /// Ours to reap when we started it.
    child: Option<Child>,
    /// `None` once left.
    share: Option<(UsersLock, Option<Watcher>)>,
}

impl Cluster {
    /// Brings up a cluster that this value shares with no one: for benchmarks and fault tests.
    ///
    /// # Errors
    /// As [`crate::ensure`]; [`Error::Busy`] when another process uses the folder.
    pub fn start(options: &Options) -> Result<Self, Error> {
        Self::open(options, UsersLock::alone, &mut |_, _| {})
    }

    pub(crate) fn open(options: &Options, join: fn(&Path) -> Result<UsersLock, Error>, report: &mut Report<'_>) -> Result<Self, Error> {
        let request = Request::read(&options.environment)?;
        let home = Home::prepare(&options.dir, report)?;
        let _starting = StartLock::take(&home.dir)?;
        let users = join(&home.dir)?;
        let (data, server) = choose(options, &home, &request, report)?;
        let mut cluster = Self {
            // Known once the server is found or started.
            socket_dir: PathBuf::new(),
            options: options.clone(),
            data: data.path.clone(),
            home,
            server,
            child: None,
            share: None,
        };
        cluster.bring_up(&data, report)?;
        let watcher = Watcher::spawn(&options.environment, &cluster.home.dir, &cluster.data);
        cluster.share = Some((users, watcher));
        Ok(cluster)
    }

    /// The address of a database for sqlx and other clients that understand `host` as a folder.
    /// User `postgres` is superuser and needs no password: only this user account (and root) can
    /// enter the folder of the socket. Database `postgres` always exists.
    pub fn url(&self, database: &str) -> String {
        let folder = self.socket_dir.to_string_lossy();
        format!("postgres://postgres@localhost:5432/{}?host={}", percent_encoded(database), percent_encoded(&folder))
    }

    /// The folder of the server's programs.
    pub fn bindir(&self) -> &Path {
        &self.server.bindir
    }

    /// The version of the server, like `15.18`.
    pub fn version(&self) -> &str {
        &self.server.version
    }

    /// The data folder.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The folder of the socket `.s.PGSQL.5432`.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The server's log.
    pub fn log_file(&self) -> PathBuf {
        self.home.log()
    }

    /// The number of the server's main process; `None` when the cluster is down.
    pub fn postmaster_pid(&self) -> Option<u32> {
        PidFile::read(&self.data).map(|file| file.pid)
    }

    /// Brings the server back after a crash: the call for an owner whose connections fail. Does
    /// nothing when it runs. Returns whether it had to be started.
    ///
    /// # Errors
    /// When the server does not start.
    pub fn recover(&mut self) -> Result<bool, Error> {
        let _starting = StartLock::take(&self.home.dir)?;
        let data = self.home.data_of(self.server.major);
        self.bring_up(&data, &mut |_, _| {})
    }

    /// Stops the server in the orderly way and starts it again, whoever else uses it.
    ///
    /// # Errors
    /// When the server does not stop or does not start.
    pub fn restart(&mut self) -> Result<(), Error> {
        let _starting = StartLock::take(&self.home.dir)?;
        postmaster::stop(&self.data)?;
        self.reap();
        let data = self.home.data_of(self.server.major);
        self.bring_up(&data, &mut |_, _| {}).map(|_| ())
    }

    /// Ends the server's main process with SIGKILL, as a crash would; for fault tests. Follow it
    /// with [`Cluster::recover`].
    ///
    /// # Errors
    /// When the lock of the folder cannot be taken.
    pub fn kill(&mut self) -> Result<(), Error> {
        let _starting = StartLock::take(&self.home.dir)?;
        postmaster::kill(&self.data);
        self.reap();
        Ok(())
    }

    /// Leaves the cluster. The last user out stops the server; the answer is whether this was it.
    ///
    /// # Errors
    /// When the server does not stop within a minute.
    pub fn stop(mut self) -> Result<bool, Error> {
        self.leave()
    }

    fn leave(&mut self) -> Result<bool, Error> {
        let Some((users, watcher)) = self.share.take() else {
            return Ok(false);
        };
        let _stopping = StartLock::take(&self.home.dir)?;
        if !users.leave() {
            // Perhaps a child of ours holds a copy of the lock for a moment, between fork and exec.
            watcher.into_iter().for_each(Watcher::hand_over);
            return Ok(false);
        }
        postmaster::stop(&self.data)?;
        self.reap();
        watcher.into_iter().for_each(Watcher::dismiss);
        Ok(true)
    }

    /// Attaches to the running server or starts one; returns whether it had to start. Only under
    /// the start lock.
    fn bring_up(&mut self, data: &Data, report: &mut Report<'_>) -> Result<bool, Error> {
        let begun = Instant::now();
        if let Some(running) = postmaster::find_running(&self.data, &self.home.log())? {
            self.socket_dir = running.socket_dir;
            report(&format!("attach: PostgreSQL {}", self.server.version), begun.elapsed());
            return Ok(false);
        }
        self.reap();
        self.socket_dir = self.home.socket_dir(&self.data, &self.options.environment)?;
        initdb::write_conf(&self.home, data, &self.server, self.options.profile)?;
        self.child = match self.start_server() {
            Err(Error::Start { .. }) if self.options.profile == Profile::Throwaway => {
                self.make_anew(data, report)?;
                Some(self.start_server()?)
            }
            Err(error) => {
                postmaster::remove_socket_dir(&self.socket_dir);
                return Err(error);
            }
            started => Some(started?),
        };
        report(&format!("start: PostgreSQL {}", self.server.version), begun.elapsed());
        Ok(true)
    }

    fn start_server(&self) -> Result<Child, Error> {
        let start = Start {
            home: &self.home,
            environment: &self.options.environment,
            bindir: &self.server.bindir,
            data: &self.data,
            socket_dir: &self.socket_dir,
            settings: &self.options.settings,
        };
        start.run()
    }

    /// Replaces a throw-away cluster that no longer starts: without fsync a power cut may leave
    /// anything. Its record has said that it is one, else it would not have come this far.
    fn make_anew(&self, data: &Data, report: &mut Report<'_>) -> Result<(), Error> {
        let begun = Instant::now();
        let broken = self.home.dir.join("data-broken");
        if broken.exists() {
            fs::remove_dir_all(&broken).map_err(crate::error::io("cannot clear away", &broken))?;
        }
        fs::rename(&data.path, &broken).map_err(crate::error::io("cannot move away", &data.path))?;
        let (options, server) = (&self.options, &self.server);
        initdb::create(&self.home, &options.environment, server, options.profile)?;
        initdb::write_conf(&self.home, data, server, options.profile)?;
        report("initdb: anew, because the throw-away cluster did not start", begun.elapsed());
        Ok(())
    }

    /// Waits for the server process we started, if any, to be gone for good; it is ending or ended.
    fn reap(&mut self) {
        if let Some(mut child) = self.child.take() {
            crate::process::signal(child.id(), rustix::process::Signal::INT);
            let _status_is_in_the_log = child.wait();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Nobody is left to hear of an error; the next start finds whatever still runs.
        let _nobody_hears = self.leave();
    }
}

/// Everything but letters, digits, `-`, `_` and `.` as %XX.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
    encoded
}
