//! Everything that can keep a cluster from coming up, as sentences for the person in front of it.
//!
//! Each message names the cause, the folder and the way out. Nothing here ever deletes data.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable server was found and none could be fetched.
    #[error("no usable PostgreSQL found ({tried}). {cure}")]
    NoServer {
        /// What was looked at and why it would not do.
        tried: String,
        /// What to install or set.
        cure: String,
    },
    /// A `RAWOPS_PG…` variable asks for something that cannot be had.
    #[error("{variable}={value}: {reason}. {cure}")]
    Asked {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
        /// The way out.
        cure: String,
    },
    /// The data folder belongs to another major version of PostgreSQL.
    #[error("{} holds data of PostgreSQL {major}, and {reason}. {cure}", data.display())]
    WrongMajor {
        /// The data folder; it stays as it is.
        data: PathBuf,
        /// The version that made it.
        major: u32,
        /// Why that version is not at hand.
        reason: String,
        /// The way out.
        cure: String,
    },
    /// The folder holds a cluster of the other profile.
    #[error(
        "{} holds a {found} cluster and a {wanted} one was asked for: their promises about lost \
         writes differ. Use another folder",
        data.display()
    )]
    WrongProfile {
        /// The data folder; it stays as it is.
        data: PathBuf,
        /// The profile it was made with.
        found: &'static str,
        /// The profile asked for.
        wanted: &'static str,
    },
    /// The folder belongs to somebody else.
    #[error(
        "{} belongs to user {owner} and this process runs as user {us}. Run as user {owner}, or \
         give the folder away with: chown -R {us} {}",
        dir.display(),
        dir.display()
    )]
    Foreign {
        /// The folder.
        dir: PathBuf,
        /// Its owner: a name, or a number where the system knows no name.
        owner: String,
        /// The account that would need to own it.
        us: String,
    },
    /// The folder cannot be written.
    #[error(
        "no permission to write in {}: {source}. Give yourself the right with `chmod u+rwx {}`, or \
         run from a folder of your own",
        dir.display(),
        dir.display()
    )]
    NoPermission {
        /// The folder.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// PostgreSQL refuses to run as root and there is no other account.
    #[error(
        "PostgreSQL does not run as root, and /etc/passwd has neither an account `postgres` nor \
         `nobody`. Run as an ordinary user"
    )]
    NoAccount,
    /// Another process uses the folder in a way that excludes this one.
    #[error("{} is in use by another process that shares it with nobody. Stop that process first", dir.display())]
    Busy {
        /// The folder.
        dir: PathBuf,
    },
    /// `initdb` failed; what it had begun is cleared away at the next start.
    #[error("initdb could not make {}: {output}", data.display())]
    Initdb {
        /// The folder it was to make.
        data: PathBuf,
        /// What it printed.
        output: String,
    },
    /// The server did not come up.
    #[error("the PostgreSQL server of {} did not start: {reason}. Its log is {}", data.display(), log.display())]
    Start {
        /// The data folder.
        data: PathBuf,
        /// What happened, with the end of the log.
        reason: String,
        /// The whole log.
        log: PathBuf,
    },
    /// The server did not stop in time.
    #[error("the PostgreSQL server of {} (process {pid}) did not stop within {seconds} s", data.display())]
    Stop {
        /// The data folder.
        data: PathBuf,
        /// The postmaster.
        pid: u32,
        /// How long was waited.
        seconds: u64,
    },
    /// The file system refused something else.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Turns an I/O error into ours; meant for `map_err`.
pub(crate) fn io(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Io { doing, path: path.to_owned(), source }
}

/// Like [`io()`], with a sentence of its own for a folder that must not be written.
pub(crate) fn writing(doing: &'static str, dir: &Path, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Error::NoPermission { dir: dir.to_owned(), source },
        _ => io(doing, path)(source),
    }
}
