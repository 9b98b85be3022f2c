//! The packer's drop: files for him and from him, over HTTP or over SFTP, by the scheme of its address.
//!
//! Either way a file lies under its name once, whole, and to put it there again changes nothing.

mod http;
mod settings;
mod sftp;

pub use settings::{Place, Settings};

use std::sync::Arc;

use engine::{Category, Run};
use serde::Deserialize;

use super::{
    OutsideError,
    http::{CallError, Reached},
};
use crate::export::manifest::File;

/// Its name, in messages.
const SYSTEM: &str = "the packer's drop";
/// Its name, as its breaker is called.
pub const DROP: &str = "packer";

/// Calls the drop; a clone is the same one.
#[derive(Clone)]
pub struct Packer {
    drop: Option<Arc<Drop>>,
}

/// The kinds of drops.
enum Drop {
    Http(http::Drop),
    Sftp(sftp::Drop),
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

impl Packer {
    /// A client with these settings; without them nothing is called.
    ///
    /// # Errors
    /// An address that is none, keys that are none, or TLS that cannot be set up.
    pub fn new(settings: &Settings) -> Result<Self, OutsideError> {
        let drop = match settings.place()? {
            None => None,
            Some(Place::Http(target, token)) => Some(Drop::Http(http::Drop::new(target, token, settings.timeout)?)),
            Some(Place::Sftp(login)) => Some(Drop::Sftp(sftp::Drop::new(login, settings.timeout))),
        };
        Ok(Self { drop: drop.map(Arc::new) })
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
        match self.drop()? {
            Drop::Http(drop) => drop.put(file, run).await,
            Drop::Sftp(drop) => drop.put(file, run).await,
        }
    }

    /// Asks what became of a file.
    ///
    /// # Errors
    /// [`CallError`]; of category `business_rule` when the packer has read another file of this name.
    pub async fn receipt(&self, file: &File, run: &Run) -> Result<Receipt, CallError> {
        match self.drop()? {
            Drop::Http(drop) => drop.receipt(file, run).await,
            Drop::Sftp(drop) => drop.receipt(file, run).await,
        }
    }

    /// The files that the packer has laid out.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn dispatches(&self, run: &Run) -> Result<Vec<Listed>, CallError> {
        match self.drop()? {
            Drop::Http(drop) => drop.dispatches(run).await,
            Drop::Sftp(drop) => drop.dispatches(run).await,
        }
    }

    /// The bytes of a file that the packer has laid out.
    ///
    /// # Errors
    /// [`CallError`]; of category `upstream` when they are not those that the list says.
    pub async fn dispatch(&self, file: &Listed, run: &Run) -> Result<Vec<u8>, CallError> {
        match self.drop()? {
            Drop::Http(drop) => drop.dispatch(file, run).await,
            Drop::Sftp(drop) => drop.dispatch(file, run).await,
        }
    }
}

impl Listed {
    /// Whether a name can be one segment of a path, and the hash is one.
    fn is_sound(&self) -> bool {
        is_name(&self.name) && self.sha256.len() == 64 && self.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }
}

/// Whether a name can be one segment of a path.
fn is_name(name: &str) -> bool {
    (1..=200).contains(&name.len()) && !matches!(name, "." | "..") && !name.contains('/') && !name.contains(char::is_control)
}
