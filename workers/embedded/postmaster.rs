//! The server process: starting it, knowing when it is ready, ending it.
//!
//! A postmaster says what it does in `postmaster.pid`: line 1 its number, line 2 the data folder,
//! line 5 the folder of its socket, line 8 its state. It is alive when that socket accepts.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::environment::Environment;
use crate::error::{Error, io, writing};
use crate::home::{Home, socket_path};
use crate::process::{Life, children_of_cluster, signal};
use crate::root::run_as;

const POLL: Duration = Duration::from_millis(3);
/// Crash recovery replays at most max_wal_size; on a slow disk that takes minutes.
const START_LIMIT: Duration = Duration::from_mins(5);
const STOP_LIMIT: Duration = Duration::from_mins(1);
/// How long the ended children of a killed postmaster may hold on to its memory.
const ORPHANS_LIMIT: Duration = Duration::from_secs(20);
const LOG_MAX_BYTES: u64 = 16 << 20;

/// What `postmaster.pid` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub pid: u32,
    data: PathBuf,
    pub socket_dir: PathBuf,
    ready: bool,
}

impl PidFile {
    /// Reads the file of a data folder; `None` when there is none, or it is not whole yet.
    pub fn read(data: &Path) -> Option<Self> {
        let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        Some(Self {
            pid: lines.first()?.parse().ok()?,
            data: PathBuf::from(lines.get(1)?),
            socket_dir: PathBuf::from(lines.get(4).unwrap_or(&"")),
            ready: lines.get(7).is_some_and(|state| *state == "ready"),
        })
    }

    /// Whether the file is about a postmaster that runs on this very folder. In a copied folder it
    /// is about the original's.
    fn is_live(&self, data: &Path) -> bool {
        self.data == data && Life::of(self.pid).is_postmaster_of(data)
    }

    fn accepts(&self) -> bool {
        self.ready && UnixStream::connect(socket_path(&self.socket_dir)).is_ok()
    }
}

/// Finds a server that runs on this folder and waits until it accepts. `None` when there is none,
/// also when one was there and is now gone. Only under the start lock.
pub(crate) fn find_running(data: &Path, log: &Path) -> Result<Option<PidFile>, Error> {
    let begun = Instant::now();
    while let Some(file) = PidFile::read(data).filter(|file| file.is_live(data)) {
        if file.accepts() {
            return Ok(Some(file));
        }
        if file.ready && !socket_path(&file.socket_dir).exists() {
            // Somebody cleaned the temporary folder: nobody can ever connect again.
            stop(data)?;
            return Ok(None);
        }
        if begun.elapsed() > START_LIMIT {
            let reason = format!("process {} runs and does not accept connections", file.pid);
            return Err(start_error(data, log, reason));
        }
        std::thread::sleep(POLL);
    }
    Ok(None)
}

/// Everything a start needs to know.
pub(crate) struct Start<'a> {
    pub home: &'a Home,
    pub environment: &'a Environment,
    pub bindir: &'a Path,
    pub data: &'a Path,
    pub socket_dir: &'a Path,
    pub settings: &'a [(String, String)],
}

impl Start<'_> {
    /// Starts the server and waits until it is ready. Only under the start lock, and after
    /// [`find_running`] found none.
    pub fn run(&self) -> Result<Child, Error> {
        let begun = Instant::now();
        loop {
            self.clear_traces()?;
            let logged = self.trim_log();
            let mut child = self.spawn()?;
            let Some(reason) = self.wait_ready(&mut child, logged)? else {
                return Ok(child);
            };
            // A child of a killed postmaster ends when it next looks up from its work, which a long
            // query never does; until then the server refuses, rightly, to share their memory.
            if !reason.contains("shared memory block") || begun.elapsed() > ORPHANS_LIMIT {
                return Err(start_error(self.data, &self.home.log(), reason));
            }
            for orphan in children_of_cluster(self.cluster_name()) {
                signal(orphan, Signal::KILL);
            }
            std::thread::sleep(POLL * 10);
        }
    }

    /// The name in the titles of the server's processes.
    fn cluster_name(&self) -> &str {
        let name = self.socket_dir.file_name().and_then(|name| name.to_str());
        name.expect("the socket folder has a name of ours")
    }

    /// Makes the lock files of a dead postmaster harmless.
    fn clear_traces(&self) -> Result<(), Error> {
        let socket = socket_path(self.socket_dir);
        // The socket folder serves this data folder alone, so these are traces.
        for trace in [socket.with_extension("5432.lock"), socket] {
            if trace.exists() {
                fs::remove_file(&trace).map_err(io("cannot remove", &trace))?;
            }
        }
        let Some(file) = PidFile::read(self.data) else {
            return Ok(());
        };
        if Life::of(file.pid) == Life::Gone {
            return Ok(());
        }
        // The number belongs to a zombie or to a stranger, and the server would take it for a
        // running postmaster. It ignores the number of its own parent, and goes on to check the
        // shared memory that the file names: removing the file would lose that check.
        let path = self.data.join("postmaster.pid");
        let text = fs::read_to_string(&path).map_err(io("cannot read", &path))?;
        let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        fs::write(&path, format!("{}\n{rest}", std::process::id())).map_err(io("cannot write", &path))
    }

    /// Keeps the log of one start before this one when it has grown large; returns its length.
    fn trim_log(&self) -> u64 {
        let log = self.home.log();
        let length = fs::metadata(&log).map_or(0, |meta| meta.size());
        if length > LOG_MAX_BYTES && fs::rename(&log, log.with_extension("log.1")).is_ok() {
            return 0;
        }
        length
    }

    fn spawn(&self) -> Result<Child, Error> {
        let log_path = self.home.log();
        let log = OpenOptions::new().create(true).append(true).open(&log_path);
        let log = log.map_err(writing("cannot open", &self.home.dir, &log_path))?;
        let errors = log.try_clone().map_err(io("cannot open", &log_path))?;
        let mut command = self.environment.server_command(&self.bindir.join("postgres"));
        command.arg("-D").arg(self.data).arg("-k").arg(self.socket_dir);
        command.args(["-p", "5432", "-c"]);
        command.arg(format!("cluster_name={}", self.cluster_name()));
        for (name, value) in self.settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        run_as(&mut command, self.home.account.as_ref());
        // A process group of its own: Ctrl-C in the terminal is for us, not for the server.
        command.process_group(0).stdin(Stdio::null()).stdout(log).stderr(errors);
        command.spawn().map_err(|error| start_error(self.data, &log_path, error.to_string()))
    }

    /// `None` when the server is ready; else why it ended.
    fn wait_ready(&self, child: &mut Child, logged: u64) -> Result<Option<String>, Error> {
        let begun = Instant::now();
        loop {
            let file = PidFile::read(self.data).filter(|file| file.pid == child.id());
            if file.is_some_and(|file| file.accepts()) {
                return Ok(None);
            }
            let waiting = io("cannot wait for the server of", self.data);
            let ended = child.try_wait().map_err(&waiting)?;
            if let Some(status) = ended {
                return Ok(Some(format!("{status}: {}", self.log_since(logged, child.id()))));
            }
            if begun.elapsed() > START_LIMIT {
                // The abrupt way: nothing may still run when the caller looks at the folder.
                signal(child.id(), Signal::QUIT);
                child.wait().map_err(waiting)?;
                return Ok(Some(format!("not ready after {} s", START_LIMIT.as_secs())));
            }
            std::thread::sleep(POLL);
        }
    }

    /// The last lines that the server logged in this start. A killed predecessor's children, each of which says that
    /// it ends, may write to the same log meanwhile.
    fn log_since(&self, offset: u64, pid: u32) -> String {
        let text = fs::read(self.home.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(text.get(offset as usize..).unwrap_or_default()).into_owned();
        let (own, all) = (format!("[{pid}] "), text.lines().collect::<Vec<_>>());
        let mut lines: Vec<&str> = all.iter().copied().filter(|line| line.contains(&own)).collect();
        if lines.is_empty() {
            lines = all;
        }
        lines[lines.len().saturating_sub(6)..].join("; ")
    }
}

/// Stops the server of a folder the fast way: sessions are ended, everything is written. Nothing
/// happens when none runs. Only under the start lock.
pub(crate) fn stop(data: &Path) -> Result<(), Error> {
    let Some(file) = PidFile::read(data).filter(|file| file.is_live(data)) else {
        return Ok(());
    };
    signal(file.pid, Signal::INT);
    let begun = Instant::now();
    while PidFile::read(data).is_some_and(|now| now.pid == file.pid) && Life::of(file.pid).is_postmaster_of(data) {
        if begun.elapsed() > STOP_LIMIT {
            return Err(Error::Stop { data: data.to_owned(), pid: file.pid, seconds: STOP_LIMIT.as_secs() });
        }
        std::thread::sleep(POLL);
    }
    remove_socket_dir(&file.socket_dir);
    Ok(())
}

/// Clears away the folder of a socket when it is empty, as it is after an orderly end. Only under
/// the start lock.
pub(crate) fn remove_socket_dir(dir: &Path) {
    let _not_empty_then = fs::remove_dir(dir);
}

/// Ends the postmaster of a folder without a warning, as a crash would, and waits until it is
/// gone. Only under the start lock.
pub(crate) fn kill(data: &Path) {
    let live = PidFile::read(data).filter(|file| file.is_live(data));
    if let Some(file) = live {
        signal(file.pid, Signal::KILL);
        while Life::of(file.pid).is_postmaster_of(data) {
            std::thread::sleep(POLL);
        }
    }
}

fn start_error(data: &Path, log: &Path, reason: String) -> Error {
    Error::Start { data: data.to_owned(), reason, log: log.to_owned() }
}
