//! What the packer has laid out in `dispatches`, told from what is still on its way.
//!
//! Names that begin with a dot or end like a part are not looked at, nor what was written within the last minute. A time that says
//! nothing, because there is none or it has not come yet, is made up for by our own: such a file is whole when it lies there
//! unchanged a minute after it was met with. That is the next visit, or a later one.
//!
//! No file keeps another from being fetched: a name that is none is left alone, and one that cannot be read is listed last, under a
//! hash that no file has, so that whoever fetches it hears why it cannot be had.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::{MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use engine::{Category, Run};
use russh_sftp::protocol::FileAttributes;
use tokio::time::timeout;

use super::{
    super::{super::http::CallError, Listed, is_name},
    Drop, FILE_LIMIT,
    session::Session,
};
use crate::export::manifest::sha256;

/// How much longer a visit may take in which many files are read.
const TIMES_TO_LIST: u32 = 4;
/// Files that one visit reads to know their hashes, newest first: what is left waits for the next.
const READS: usize = 100;
/// Files that one visit leaves because no answer came; each costs a connection and the time of a visit.
const UNANSWERED: usize = 2;
/// For how long a file of the packer is looked at after it was written, in seconds.
const KEPT_SECONDS: u64 = 30 * 24 * 60 * 60;
/// Within how many seconds of being written a file may still grow.
const FRESH_SECONDS: u64 = 60;
/// How names of files end that are on their way.
const PARTS: [&str; 3] = [".part", ".tmp", ".filepart"];

/// A file as it stood when it was listed: name, bytes and when it was written, in seconds since 1970.
type Version = (String, u64, Option<u32>);

/// What earlier visits met with, while it lies there unchanged.
#[derive(Default)]
pub(super) struct Memory {
    met: BTreeMap<Version, Met>,
    /// Names that are none, of which was told.
    unsound: BTreeSet<String>,
}

/// A file at earlier visits.
#[derive(Clone)]
struct Met {
    first: Instant,
    /// Once it was read.
    hash: Option<String>,
    /// It could not be read when it was last tried.
    has_failed: bool,
}

impl Drop {
    pub(in super::super) async fn dispatches(&self, run: &Run) -> Result<Vec<Listed>, CallError> {
        let time = self.time * TIMES_TO_LIST;
        let until = Instant::now() + time;
        self.visit("list", run, time, async |session| {
            let found = session.list(&self.path("dispatches")).await?.ok_or_else(|| self.no_folder("dispatches"))?;
            let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let offered: Vec<Version> = found.into_iter().filter_map(|(name, is)| offered(name, &is, seconds)).collect();
            let offered = self.sound(offered);
            let whole = self.memory().meet(offered, seconds, Instant::now());
            Ok(self.hash(session, whole, until).await)
        })
        .await
    }

    /// Those whose names can be asked for. Of another one is told when it first lies there.
    fn sound(&self, offered: Vec<Version>) -> Vec<Version> {
        let (sound, unsound): (Vec<Version>, Vec<Version>) = offered.into_iter().partition(|version| is_name(&version.0));
        let unsound: BTreeSet<String> = unsound.into_iter().map(|version| version.0).collect();
        let mut memory = self.memory();
        if let Some(first) = unsound.difference(&memory.unsound).next() {
            let first = self.redactor.clean(&first.escape_debug().to_string());
            tracing::warn!(name = %first, names = unsound.len(), "the packer laid out what has no name of a file; it is left there");
        }
        memory.unsound = unsound;
        sound
    }

    /// Files with their hashes, oldest first and then those that cannot be read; what is not known yet is read, while there is time.
    async fn hash(&self, given: &Session, whole: Vec<(Version, Option<String>)>, until: Instant) -> Vec<Listed> {
        let (mut listed, mut faulty, mut reads, mut unanswered) = (Vec::new(), Vec::new(), 0, 0);
        let mut own: Option<Session> = None;
        for (version, hash) in whole {
            if let Some(sha256) = hash {
                listed.push(Listed { name: version.0, sha256 });
                continue;
            }
            let left = until.saturating_duration_since(Instant::now());
            if reads == READS || unanswered == UNANSWERED || left < self.time {
                continue;
            }
            reads += 1;
            let read = self.read(own.as_ref().unwrap_or(given), &version).await;
            self.memory().note(&version, &read);
            match read {
                Ok(Some(sha256)) => listed.push(Listed { name: version.0, sha256 }),
                Ok(None) => (),
                Err(category) => {
                    faulty.push(Listed { sha256: hash_of_none(&version), name: version.0 });
                    // Who waits for an answer on a connection gets no other there.
                    if !matches!(category, Category::Auth | Category::Upstream) {
                        unanswered += 1;
                        match Box::pin(Session::open(&self.login, left, &self.redactor)).await {
                            Ok(next) => own = Some(next),
                            Err(_) => unanswered = UNANSWERED,
                        }
                    }
                }
            }
        }
        if let Some(session) = own {
            session.close().await;
        }
        listed.reverse();
        listed.append(&mut faulty);
        listed
    }

    /// The hash of a file, none when he has moved it, or why it cannot be had.
    async fn read(&self, session: &Session, version: &Version) -> Result<Option<String>, Category> {
        match timeout(self.time, session.read(&self.dispatch_path(&version.0), FILE_LIMIT)).await {
            Err(_) => Err(Category::Timeout),
            Ok(Err(error)) => Err(error.category),
            Ok(Ok(None)) => Ok(None),
            Ok(Ok(Some(bytes))) if bytes.len() > FILE_LIMIT => Ok(Some(hash_of_none(version))),
            Ok(Ok(Some(bytes))) => Ok(Some(sha256(&bytes))),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Takes these for all that lies there; those that are whole, with their hashes where they are known. Newest first, and at the end
    /// what could not be read.
    fn meet(&mut self, offered: Vec<Version>, seconds: u64, now: Instant) -> Vec<(Version, Option<String>)> {
        let mut before = std::mem::take(&mut self.met);
        let mut whole = Vec::new();
        for version in offered {
            let met = before.remove(&version).unwrap_or(Met { first: now, hash: None, has_failed: false });
            let age = version.2.and_then(|at| seconds.checked_sub(at.into()));
            let age = age.unwrap_or_else(|| now.saturating_duration_since(met.first).as_secs());
            if age >= FRESH_SECONDS {
                whole.push((met.has_failed, Reverse(version.2), version.clone(), met.hash.clone()));
            }
            self.met.insert(version, met);
        }
        whole.sort();
        whole.into_iter().map(|(_, _, version, hash)| (version, hash)).collect()
    }

    fn note(&mut self, version: &Version, read: &Result<Option<String>, Category>) {
        if let Some(met) = self.met.get_mut(version) {
            met.has_failed = read.is_err();
            met.hash = read.as_ref().ok().cloned().flatten();
        }
    }
}

/// A file that may be whole, and is not too old to be looked at.
fn offered(name: String, is: &FileAttributes, seconds: u64) -> Option<Version> {
    let is_part = name.starts_with('.') || PARTS.iter().any(|end| name.to_ascii_lowercase().ends_with(end));
    let is_old = is.mtime.and_then(|at| seconds.checked_sub(at.into())).is_some_and(|age| age >= KEPT_SECONDS);
    (!is_part && !is_old && !is.file_type().is_dir()).then(|| (name, is.size.unwrap_or_default(), is.mtime))
}

/// A hash that no file has.
fn hash_of_none(version: &Version) -> String {
    sha256(format!("{version:?}").as_bytes())
}

#[cfg(test)]
mod tests;
