//! The folder of a cluster: whose it is, and what lies in it.
//!
//! ```text
//! start.lock users.lock     see locks.rs
//! data-15/                  the cluster of PostgreSQL 15
//! data-15.txt               which server made it, and for which profile
//! data-new/                 a cluster that initdb has not finished; worth nothing
//! postgres.log              what the server says
//! ```

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::environment::Environment;
use crate::error::{Error, io, writing};
use crate::root::{self, Account};

/// Socket paths end at 103 bytes on macOS and 107 on Linux.
const SOCKET_PATH_MAX: usize = 100;
const SOCKET_FILE: &str = ".s.PGSQL.5432";

/// A folder that this process may use, and the account that runs the server in it.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub dir: PathBuf,
    /// `None` when the server runs as ourselves.
    pub account: Option<Account>,
}

/// A finished data folder.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    pub path: PathBuf,
    pub major: u32,
}

impl Home {
    /// Makes the folder or takes it as it is, refusing one that is not ours to use.
    pub fn prepare(wanted: &Path, report: &mut dyn FnMut(&str, Duration)) -> Result<Self, Error> {
        let begun = Instant::now();
        let wanted = resolve(wanted)?;
        let fallback = Path::new("/var/lib").join(format!("rawops-{}", short_hash(&wanted)));
        let owner = data_owner(&wanted).or_else(|| data_owner(&fallback));
        let account = Account::for_server(owner)?;
        let parent = wanted.parent().unwrap_or(&wanted);
        let dir = match &account {
            Some(account) if !account.reaches(parent) => {
                let (name, to) = (&account.name, fallback.display());
                let line = format!("data: in {to}, because account {name} cannot enter {}", parent.display());
                report(&line, begun.elapsed());
                fallback
            }
            _ => wanted,
        };
        create(&dir, account.is_some())?;
        let home = Self { dir, account };
        home.check_owner(&home.dir, fs::metadata(&home.dir))?;
        if home.account.is_some() {
            let_through(&home.dir)?;
        }
        Ok(home)
    }

    /// The data folder of the highest version, if there is one.
    pub fn data(&self) -> Result<Option<Data>, Error> {
        let Some(data) = list_data(&self.dir).into_iter().max_by_key(|data| data.major) else {
            return Ok(None);
        };
        self.check_owner(&data.path, fs::metadata(&data.path))?;
        Ok(Some(data))
    }

    /// The data folder that a version has, or would have.
    pub fn data_of(&self, major: u32) -> Data {
        Data { path: self.dir.join(format!("data-{major}")), major }
    }

    /// The log of the server.
    pub fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    /// A private folder for the socket of a data folder. It lies among the temporary files and not
    /// beside the data, because the path of a socket must be short.
    pub fn socket_dir(&self, data: &Path, environment: &Environment) -> Result<PathBuf, Error> {
        let name = format!("rawops-{}", short_hash(data));
        let temp = environment.temp_dir();
        let reached = self.account.as_ref().is_none_or(|account| account.reaches(&temp));
        let dir = temp.join(&name);
        let dir = if reached && socket_path(&dir).as_os_str().len() <= SOCKET_PATH_MAX { dir } else { Path::new("/tmp").join(name) };
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(writing("cannot make", &temp, &dir)(error));
            }
            // Not through a link: in a shared temporary folder anyone could have laid it.
            _ => self.check_owner(&dir, fs::symlink_metadata(&dir))?,
        }
        fs::set_permissions(&dir, Permissions::from_mode(0o700)).map_err(io("cannot close to others", &dir))?;
        root::give(&dir, self.account.as_ref())?;
        Ok(dir)
    }

    /// Refuses what belongs neither to us nor to the account of the server. The folder of the data
    /// itself must belong to the user that runs the server.
    fn check_owner(&self, path: &Path, meta: std::io::Result<Metadata>) -> Result<(), Error> {
        let meta = meta.map_err(io("cannot look at", path))?;
        let server = self.account.as_ref().map_or_else(root::our_uid, |account| account.uid);
        let ours = meta.uid() == server || (meta.uid() == root::our_uid() && !is_data(path));
        if ours && meta.is_dir() {
            return Ok(());
        }
        Err(Error::Foreign { dir: path.to_owned(), owner: root::user_name(meta.uid()), us: root::user_name(server) })
    }
}

/// The socket file in its folder.
pub(crate) fn socket_path(dir: &Path) -> PathBuf {
    dir.join(SOCKET_FILE)
}

/// Twelve hexadecimal digits that stand for a path.
pub(crate) fn short_hash(path: &Path) -> String {
    use std::fmt::Write;
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    digest.iter().take(6).fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

fn is_data(path: &Path) -> bool {
    path.join("PG_VERSION").exists()
}

fn list_data(dir: &Path) -> Vec<Data> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let major = entry.file_name().to_str()?.strip_prefix("data-")?.parse().ok()?;
            let path = entry.path();
            is_data(&path).then_some(Data { path, major })
        })
        .collect()
}

fn data_owner(dir: &Path) -> Option<u32> {
    let newest = list_data(dir).into_iter().max_by_key(|data| data.major)?;
    fs::metadata(newest.path).ok().map(|meta| meta.uid())
}

/// The absolute path without links, also of a folder that does not exist yet: every process must
/// find the same name for the same folder.
fn resolve(path: &Path) -> Result<PathBuf, Error> {
    let path = std::path::absolute(path).map_err(io("cannot resolve", path))?;
    let there = path.ancestors().find(|part| part.exists()).unwrap_or(Path::new("/"));
    let missing = path.strip_prefix(there).expect("an ancestor is a prefix");
    let there = there.canonicalize().map_err(io("cannot resolve", there))?;
    if missing.as_os_str().is_empty() {
        return Ok(there);
    }
    Ok(there.join(missing))
}

/// Makes a folder and its parents; with `open`, whatever the umask, others may enter what is made.
fn create(dir: &Path, open: bool) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        create(parent, open)?;
    }
    match fs::create_dir(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(writing("cannot make", dir.parent().unwrap_or(dir), dir)(error))
        }
        _ if open => let_through(dir),
        _ => Ok(()),
    }
}

/// Lets other accounts pass through a folder of ours, not read it.
fn let_through(dir: &Path) -> Result<(), Error> {
    let mode = fs::metadata(dir).map_err(io("cannot look at", dir))?.mode();
    if mode & 0o111 == 0o111 {
        return Ok(());
    }
    fs::set_permissions(dir, Permissions::from_mode(mode & 0o7777 | 0o111)).map_err(io("cannot open to the server", dir))
}
