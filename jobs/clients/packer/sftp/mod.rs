//! The packer's drop over SFTP: folders that he and we share.
//!
//! ```text
//! {folder}/orders/{name}             a file of ours, whole: it is written beside, as .{name}.{hash}.part, and renamed
//! {folder}/orders/read/{name}        he has read it: he moves files, and takes none away
//! {folder}/orders/refused/{name}     he will not pack it; why may lie beside it, in {name}.reason
//! {folder}/dispatches/{name}         a file of his, whole; he renames it there too
//! ```
//!
//! The part's name holds the hash of the file, so that who finds one left behind goes on with it, and of two who write at once
//! both write the same. Whoever has made a part looks for the file before it renames: so a file that he has moved meanwhile
//! is not put there a second time. In `dispatches`, names that begin with a dot or end like a part are not looked at, nor what
//! was written within the last minute.
//!
//! A visit is a connection of its own: there are a few of them in an hour. Keys are ed25519 or ECDSA: the timing of the one RSA in
//! Rust tells the key (RUSTSEC-2023-0071).

mod login;
mod session;

pub use login::{Address, Login};

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use engine::{
    Category, Run,
    trace::{Fact, Role, Span},
};
use russh_sftp::protocol::FileAttributes;

use super::{
    super::http::{CallError, Reached, Redactor},
    Listed, Receipt, SYSTEM,
};
use crate::export::manifest::{File, sha256};
use session::{Session, error};

/// How long a visit may take, unless it is said.
const TIME: Duration = Duration::from_secs(15);
/// How much longer a visit may take in which many files are read.
const TIMES_TO_LIST: u32 = 4;
/// The largest file of the packer that is read, in bytes.
const FILE_LIMIT: usize = 1 << 20;
/// The longest reason that is read, in bytes.
const REASON_LIMIT: usize = 2 * 1024;
/// Files that one visit reads to know their hashes, newest first: what is left waits for the next.
const READS: usize = 100;
/// For how long a file of the packer is looked at after it was written, in seconds.
const KEPT_SECONDS: u64 = 30 * 24 * 60 * 60;
/// Within how many seconds of being written a file may still grow.
const FRESH_SECONDS: u64 = 60;
/// How names of files end that are on their way.
const PARTS: [&str; 3] = [".part", ".tmp", ".filepart"];

/// Where it is, and what lets us in.
pub(super) struct Drop {
    login: Login,
    time: Duration,
    redactor: Redactor,
    /// Hashes of files that were read, while they are listed with the same size and time.
    hashes: Mutex<BTreeMap<Version, String>>,
}

/// A file as it stood when it was listed: name, bytes and when it was written.
type Version = (String, u64, u32);

impl Drop {
    /// The drop of this login; a visit takes so long at most.
    pub(super) fn new(login: Login, time: Option<Duration>) -> Self {
        let redactor = Redactor::new(login.password.iter().map(|password| password.text().to_owned()));
        Self { login, time: time.unwrap_or(TIME), redactor, hashes: Mutex::default() }
    }

    pub(super) async fn put(&self, file: &File, run: &Run) -> Result<(), CallError> {
        self.visit("put", run, self.time, async |session| self.put_in(session, file).await).await
    }

    async fn put_in(&self, session: &Session, file: &File) -> Result<(), CallError> {
        if self.has(session, file).await? {
            return Ok(());
        }
        let part = self.path(&format!("orders/.{}.{}.part", file.name, &file.sha256[..16]));
        let Some(handle) = session.begin(&part).await? else { return Err(self.no_folder("orders")) };
        // Once more, now that nobody else can rename a part that he had before.
        if self.has(session, file).await? {
            return session.remove(&part).await;
        }
        session.write(handle, &part, &file.bytes).await?;
        match session.read(&part, file.bytes.len()).await? {
            Some(bytes) if bytes == file.bytes => (),
            Some(_) => {
                session.remove(&part).await?;
                return Err(error(Reached::Unknown, Category::Upstream, format!("{} is not there as it was written", file.name)));
            }
            // Another attempt has renamed it.
            None => return self.must_have(session, file, Ok(false)).await,
        }
        match session.rename(&part, &self.path(&format!("orders/{}", file.name))).await {
            Ok(true) => Ok(()),
            other => self.must_have(session, file, other).await,
        }
    }

    /// Whether the file is there or was moved on, looked for in the order in which it moves.
    async fn has(&self, session: &Session, file: &File) -> Result<bool, CallError> {
        for folder in ["orders", "orders/read", "orders/refused"] {
            if self.lies_in(session, folder, file).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// When it could not be renamed: it is there all the same, or the reason why not.
    async fn must_have(&self, session: &Session, file: &File, renamed: Result<bool, CallError>) -> Result<(), CallError> {
        if self.has(session, file).await? {
            return Ok(());
        }
        Err(renamed.err().unwrap_or_else(|| error(Reached::Unknown, Category::Upstream, format!("{} is gone", file.name))))
    }

    /// Whether this very file lies in a folder; another one of its name is an error.
    async fn lies_in(&self, session: &Session, folder: &str, file: &File) -> Result<bool, CallError> {
        match session.read(&self.path(&format!("{folder}/{}", file.name)), file.bytes.len()).await? {
            None => Ok(false),
            Some(bytes) if bytes == file.bytes => Ok(true),
            Some(_) => Err(error(Reached::Unknown, Category::BusinessRule, format!("another {} lies in {folder}", file.name))),
        }
    }

    pub(super) async fn receipt(&self, file: &File, run: &Run) -> Result<Receipt, CallError> {
        self.visit("receipt", run, self.time, async |session| {
            if self.lies_in(session, "orders", file).await? {
                return Ok(Receipt::NotYet);
            }
            if self.lies_in(session, "orders/read", file).await? {
                return Ok(Receipt::Read);
            }
            if self.lies_in(session, "orders/refused", file).await? {
                let reason = session.read(&self.path(&format!("orders/refused/{}.reason", file.name)), REASON_LIMIT).await?;
                let reason = self.redactor.clean(&String::from_utf8_lossy(&reason.unwrap_or_default()));
                return Ok(Receipt::Refused(if reason.is_empty() { "no reason given".into() } else { reason }));
            }
            let words = format!("{} lies in none of orders, orders/read and orders/refused: ask the packer what he did with it", file.name);
            Err(error(Reached::Unknown, Category::BusinessRule, words))
        })
        .await
    }

    pub(super) async fn dispatches(&self, run: &Run) -> Result<Vec<Listed>, CallError> {
        self.visit("list", run, self.time * TIMES_TO_LIST, async |session| {
            let found = session.list(&self.path("dispatches")).await?.ok_or_else(|| self.no_folder("dispatches"))?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let mut whole: Vec<Version> = found.into_iter().filter_map(|(name, is)| whole(name, &is, now)).collect();
            whole.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
            self.hash(session, whole).await
        })
        .await
    }

    /// Files with their hashes, oldest first; those that are not known yet are read.
    async fn hash(&self, session: &Session, versions: Vec<Version>) -> Result<Vec<Listed>, CallError> {
        let known = std::mem::take(&mut *self.hashes.lock().unwrap_or_else(PoisonError::into_inner));
        let (mut listed, mut kept, mut reads, mut fault) = (Vec::new(), BTreeMap::new(), 0, None);
        for version in versions {
            let hash = match known.get(&version) {
                Some(hash) => hash.clone(),
                None if reads == READS || fault.is_some() => continue,
                None => {
                    reads += 1;
                    match session.read(&self.dispatch_path(&version.0), FILE_LIMIT).await {
                        Ok(Some(bytes)) if bytes.len() <= FILE_LIMIT => sha256(&bytes),
                        // He has moved it.
                        Ok(None) => continue,
                        // Of a hash that no file has: whoever fetches it hears why it cannot be had.
                        Ok(Some(_)) => sha256(format!("{version:?}").as_bytes()),
                        Err(error) if matches!(error.category, Category::Auth | Category::Upstream) => {
                            sha256(format!("{version:?}").as_bytes())
                        }
                        Err(error) => {
                            fault = Some(error);
                            continue;
                        }
                    }
                }
            };
            listed.push(Listed { name: version.0.clone(), sha256: hash.clone() });
            kept.insert(version, hash);
        }
        *self.hashes.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        listed.reverse();
        match (fault, listed.iter().find(|file| !file.is_sound())) {
            (Some(error), _) => Err(error),
            (None, Some(file)) => {
                let words = format!("{:?} is no name of a file", self.redactor.clean(&file.name));
                Err(error(Reached::Unknown, Category::Upstream, words))
            }
            (None, None) => Ok(listed),
        }
    }

    pub(super) async fn dispatch(&self, file: &Listed, run: &Run) -> Result<Vec<u8>, CallError> {
        let name = &file.name;
        let read = async |session: &Session| {
            let read = session.read(&self.dispatch_path(name), FILE_LIMIT).await;
            // Who is let in and may not read this file may read the next one.
            read.map_err(|error| if error.category == Category::Auth { CallError { category: Category::Upstream, ..error } } else { error })
        };
        let bytes = self.visit("get", run, self.time, read).await?;
        let fault = match bytes {
            None => format!("{name} is not there any more"),
            Some(bytes) if bytes.len() > FILE_LIMIT => format!("{name} has more than {FILE_LIMIT} bytes"),
            Some(bytes) if sha256(&bytes) != file.sha256 => format!("{name} changed when it was read"),
            Some(bytes) => return Ok(bytes),
        };
        Err(error(Reached::Unknown, Category::Upstream, fault))
    }

    /// Goes there and comes back, told to whoever traces it.
    async fn visit<T>(
        &self,
        act: &str,
        run: &Run,
        time: Duration,
        work: impl AsyncFnOnce(&Session) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let span = Span::begin(Role::Client, format_args!("SFTP {act} {SYSTEM}"), run.trace_parent());
        span.note("peer.service", Fact::Text(SYSTEM));
        let done = span
            .around(async {
                let session = Session::open(&self.login, time, &self.redactor).await?;
                let done = work(&session).await;
                session.close().await;
                done
            })
            .await;
        if let Err(error) = &done {
            span.failed(error);
        }
        done
    }

    fn path(&self, rest: &str) -> String {
        format!("{}/{rest}", self.login.address.folder)
    }

    fn dispatch_path(&self, name: &str) -> String {
        self.path(&format!("dispatches/{name}"))
    }

    fn no_folder(&self, name: &str) -> CallError {
        let words = format!("there is no folder {}, where PACKER_DROP_URL leads: ask the packer to make it", self.path(name));
        error(Reached::Unknown, Category::Validation, words)
    }
}

/// A file that the packer has laid out whole, and that is not too old to be looked at.
fn whole(name: String, is: &FileAttributes, now: u64) -> Option<Version> {
    let is_part = name.starts_with('.') || PARTS.iter().any(|end| name.to_ascii_lowercase().ends_with(end));
    let is_folder = is.file_type().is_dir();
    let written = is.mtime.unwrap_or_default();
    // A clock of his that is ahead of ours says nothing.
    let age = is.mtime.and_then(|at| now.checked_sub(at.into()));
    let is_of_now = age.is_none_or(|age| (FRESH_SECONDS..KEPT_SECONDS).contains(&age));
    (!is_part && !is_folder && is_of_now).then(|| (name, is.size.unwrap_or_default(), written))
}

#[cfg(test)]
mod tests;
