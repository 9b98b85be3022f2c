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
//! is not put there a second time. What of `dispatches` is looked at is told in `listing`.
//!
//! A visit is a connection of its own: there are a few of them in an hour. Keys are ed25519 or ECDSA: the timing of the one RSA in
//! Rust tells the key (RUSTSEC-2023-0071).

mod listing;
mod login;
mod session;

pub use login::{Address, Login};

use std::{sync::Mutex, time::Duration};

use engine::{
    Category, Run,
    trace::{Fact, Role, Span},
};

use super::{
    super::http::{CallError, Reached, Redactor},
    Listed, Receipt, SYSTEM,
};
use crate::export::manifest::{File, sha256};
use listing::Memory;
use session::{Session, error};

/// How long a visit may take, unless it is said.
const TIME: Duration = Duration::from_secs(15);
/// The largest file of the packer that is read, in bytes.
const FILE_LIMIT: usize = 1 << 20;
/// The longest reason that is read, in bytes.
const REASON_LIMIT: usize = 2 * 1024;

/// Where it is, and what lets us in.
pub(super) struct Drop {
    login: Login,
    time: Duration,
    redactor: Redactor,
    memory: Mutex<Memory>,
}

impl Drop {
    /// The drop of this login; a visit takes so long at most.
    pub(super) fn new(login: Login, time: Option<Duration>) -> Self {
        let redactor = Redactor::new(login.password.iter().map(|password| password.text().to_owned()));
        Self { login, time: time.unwrap_or(TIME), redactor, memory: Mutex::default() }
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
            // OpenSSH's takes no name that is there. Of another server's, or what came after it, tells what lies there now; the packer
            // may have moved it by now.
            Ok(true) => self.lies_in(session, "orders", file).await.map(|_| ()),
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
