//! How a process of a run is started.

use std::{
    fs::File,
    io,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use super::{Arm, ORDERS, Orders, Role};
use crate::{kinds::versions::VERSIONS, namespace::Namespace};

/// The address space of a process, in KiB.
const MEMORY_KIB: u64 = 3 << 20;

/// How many files a process may have open.
const FILES: u32 = 300;

/// How a process is started that comes to harm.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// Where it is killed, stopped, held up or cut off.
    pub arm: Option<Arm>,
    /// Its clock, where it has one of its own.
    pub clock: Option<Clock>,
}

/// A clock of a process's own. What measures spans stays right, as it does on a machine whose clock is set.
#[derive(Debug, Clone)]
pub struct Clock {
    /// The library that gives it.
    pub library: PathBuf,
    /// How it is off.
    pub off: Off,
}

/// How a clock is off.
#[derive(Debug, Clone)]
pub enum Off {
    /// By so much, from the first moment on.
    By(String),
    /// As the text of this file says, which is read anew each second: it steps while the process lives.
    AsSaid(PathBuf),
}

/// What all processes of a run have in common.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What they are started from, by version.
    pub programs: [PathBuf; 2],
    /// The run's folder.
    pub folder: PathBuf,
    /// The database, behind the proxy.
    pub url: String,
    /// The database, from a namespace: nothing but a wire is in between.
    pub direct_url: String,
    /// Where the first workers live, one in each; the other processes live in this one's.
    pub namespaces: Vec<Arc<Namespace>>,
    /// Whether a pooler is behind the proxy.
    pub pooled: bool,
    /// Where the outside system is.
    pub outside: String,
    /// The way to it from a namespace.
    pub relay: PathBuf,
    /// Whether every other worker is of the first version of the program.
    pub mixed: bool,
    /// The bug that they have.
    pub planted: Option<String>,
}

impl Settings {
    /// The namespace that a role's process lives in; `None` when it is this one's.
    pub fn namespace(&self, role: Role) -> Option<&Namespace> {
        match role {
            Role::Worker(place) => self.namespaces.get(place).map(AsRef::as_ref),
            Role::Scheduler(_) | Role::Web(..) => None,
        }
    }

    /// Starts a process of a role, and of a version of the program.
    ///
    /// # Errors
    /// The operating system's.
    pub fn spawn(&self, role: Role, version: u32, start: &Start) -> io::Result<Child> {
        let namespace = self.namespace(role);
        let (url, pooled) = if namespace.is_some() { (&self.direct_url, false) } else { (&self.url, self.pooled) };
        let orders = Orders {
            role,
            parent: std::process::id(),
            url: url.clone(),
            folder: self.folder.clone(),
            arm: start.arm.clone(),
            version,
            pooled,
            outside: self.outside.clone(),
            relay: namespace.map(|_| self.relay.clone()),
            planted: self.planted.clone(),
        };
        let program = &self.programs[usize::from(version != VERSIONS[0])];
        let log = File::options().create(true).append(true).open(self.folder.join(format!("{}.log", role.name())))?;
        let mut command = shell(namespace);
        if let Some(Clock { library, off }) = &start.clock {
            command.env("LD_PRELOAD", library).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            match off {
                Off::By(span) => command.env("FAKETIME", span),
                Off::AsSaid(file) => command.env("FAKETIME_TIMESTAMP_FILE", file).env("FAKETIME_CACHE_DURATION", "1"),
            };
        }
        command
            // A process that aborts on purpose leaves no core file, and one that uses up its memory hurts nobody else.
            .args(["-c", &format!("ulimit -c 0; ulimit -v {MEMORY_KIB}; ulimit -n {FILES}; exec \"$0\"")])
            .arg(program)
            .env(ORDERS, serde_json::to_string(&orders)?)
            .env("RUST_LOG", "warn")
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
    }
}

fn shell(namespace: Option<&Namespace>) -> Command {
    const SHELL: &str = "/bin/sh";
    let Some(namespace) = namespace else { return Command::new(SHELL) };
    let mut command = namespace.command();
    command.arg(SHELL);
    command
}
