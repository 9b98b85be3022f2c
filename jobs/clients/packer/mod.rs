//! The packer's drop: files for him and from him, over HTTP.
//!
//! ```text
//! PUT /orders/{name}           a file; Idempotency-Key is the SHA-256 of its bytes
//!                              201 taken · 200 the same file is there already · 409 another file of this name is there
//! GET /orders/{name}/receipt   {"sha256": "…", "state": "read"} · {"state": "refused", "reason": "…"} · 404 not read yet
//! GET /dispatches              {"files": [{"name": "…", "sha256": "…"}]}, of the last days
//! GET /dispatches/{name}       such a file
//! ```
//!
//! A drop of another kind, such as SFTP, is another client with these acts: to put a file under its final name in one stroke
//! unless the same is there, to ask what became of it, to list and to get. No crate speaks SFTP without a cryptography of its own, and
//! none is added before a packer asks for it.

mod settings;

pub use settings::Settings;

use std::{sync::Arc, time::Duration};

use engine::{Category, Run};
use serde::Deserialize;

use super::{
    OutsideError, Secret,
    http::{Call, CallError, Client, Method, Reached},
};
use crate::export::manifest::{File, sha256};

/// Its name, in messages.
const SYSTEM: &str = "the packer's drop";
/// Its name, as its breaker is called.
pub const DROP: &str = "packer";
/// What the file is.
const CONTENT_TYPE: &str = "text/csv; charset=utf-8";

/// Calls the drop; a clone shares its connections.
#[derive(Clone)]
pub struct Packer {
    drop: Option<Arc<Drop>>,
}

/// Where it is, and the key to it.
struct Drop {
    client: Client,
    token: Secret,
    timeout: Option<Duration>,
}

/// What the packer says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// Nothing yet.
    NotYet,
    /// He has read it.
    Read,
    /// He will not pack it.
    Refused(String),
}

/// A file that he has laid out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

#[derive(Deserialize)]
struct Files {
    files: Vec<Listed>,
}

#[derive(Deserialize)]
struct Answer {
    sha256: String,
    state: State,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Read,
    Refused,
}

impl Packer {
    /// A client with these settings; without them nothing is called.
    ///
    /// # Errors
    /// An address that is none, or TLS that cannot be set up.
    pub fn new(settings: &Settings) -> Result<Self, OutsideError> {
        let (Some(target), Some(token)) = (settings.target()?, &settings.token) else { return Ok(Self { drop: None }) };
        let client = Client::new(target, [token.text().to_owned()])?;
        Ok(Self { drop: Some(Arc::new(Drop { client, token: token.clone(), timeout: settings.timeout })) })
    }

    /// Whether there is a drop to send to.
    pub const fn is_set(&self) -> bool {
        self.drop.is_some()
    }

    fn drop(&self) -> Result<&Drop, CallError> {
        let words = "PACKER_DROP_URL and PACKER_DROP_TOKEN are not set, so nothing was sent";
        self.drop.as_deref().ok_or_else(|| CallError::new(SYSTEM, Reached::Nothing, Category::Auth, words))
    }

    /// Puts a file there, unless it is there already. To do so again changes nothing.
    ///
    /// # Errors
    /// [`CallError`]; of category `business_rule` when another file of this name is there.
    pub async fn put(&self, file: &File, run: &Run) -> Result<(), CallError> {
        let drop = self.drop()?;
        let call = drop.call(Method::Put, &["orders", &file.name], run).body(CONTENT_TYPE, file.bytes.clone());
        match drop.client.send(&call.idempotency_key(&file.sha256)).await {
            Ok(_) => Ok(()),
            Err(error) if error.reached == Reached::Answered(409) => Err(CallError { category: Category::BusinessRule, ..error }),
            Err(error) => Err(error),
        }
    }

    /// Asks what became of a file.
    ///
    /// # Errors
    /// [`CallError`]; of category `business_rule` when the packer has read another file of this name.
    pub async fn receipt(&self, file: &File, run: &Run) -> Result<Receipt, CallError> {
        let drop = self.drop()?;
        let answer = match drop.client.send(&drop.call(Method::Get, &["orders", &file.name, "receipt"], run)).await {
            Err(error) if error.reached == Reached::Answered(404) => return Ok(Receipt::NotYet),
            answer => answer?,
        };
        let status = Reached::Answered(answer.status);
        let Answer { sha256, state, reason } = answer.json().map_err(|error| {
            drop.client.error(status, Category::Upstream, format!("its receipt of {} cannot be read: {error}", file.name))
        })?;
        if sha256 != file.sha256 {
            let words = format!("it has read another {}, of the hash {}", file.name, drop.client.clean(&sha256));
            return Err(drop.client.error(status, Category::BusinessRule, words));
        }
        Ok(match state {
            State::Read => Receipt::Read,
            State::Refused => Receipt::Refused(drop.client.clean(reason.as_deref().unwrap_or("no reason given"))),
        })
    }
}

impl Packer {
    /// The files that the packer has laid out.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn dispatches(&self, run: &Run) -> Result<Vec<Listed>, CallError> {
        let drop = self.drop()?;
        let answer = drop.client.send(&drop.call(Method::Get, &["dispatches"], run)).await?;
        let unreadable = |words: String| {
            drop.client.error(Reached::Answered(answer.status), Category::Upstream, format!("its list of files cannot be read: {words}"))
        };
        let Files { files } = answer.json().map_err(|error| unreadable(error.to_string()))?;
        match files.iter().find(|file| !file.is_sound()) {
            Some(file) => Err(unreadable(format!("{:?} is no file's name with its hash", drop.client.clean(&file.name)))),
            None => Ok(files),
        }
    }

    /// The bytes of a file that the packer has laid out.
    ///
    /// # Errors
    /// [`CallError`]; of category `upstream` when they are not those that the list says.
    pub async fn dispatch(&self, file: &Listed, run: &Run) -> Result<Vec<u8>, CallError> {
        let drop = self.drop()?;
        let answer = drop.client.send(&drop.call(Method::Get, &["dispatches", &file.name], run)).await?;
        if sha256(&answer.body) == file.sha256 {
            return Ok(answer.body);
        }
        let words = format!("{} does not have the hash that its list says", file.name);
        Err(drop.client.error(Reached::Answered(answer.status), Category::Upstream, words))
    }
}

impl Listed {
    /// Whether a name can be one segment of a path, and the hash is one.
    fn is_sound(&self) -> bool {
        let is_name =
            (1..=200).contains(&self.name.len()) && !matches!(self.name.as_str(), "." | "..") && !self.name.contains(char::is_control);
        is_name && self.sha256.len() == 64 && self.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }
}

impl Drop {
    fn call(&self, method: Method, path: &[&str], run: &Run) -> Call {
        let call = Call::new(method, path.iter().copied()).bearer(self.token.text()).on_behalf_of(run);
        match self.timeout {
            Some(timeout) => call.timeout(timeout),
            None => call,
        }
    }
}
