//! Who uses a cluster: two lock files, which the kernel frees when a process dies in whatever way.
//!
//! | file | held | meaning |
//! |---|---|---|
//! | `start.lock` | exclusive, for moments | the one process that may start or stop the server now |
//! | `users.lock` | shared, while a process uses the server | the last one out stops the server |
//! | `users.lock` | exclusive | a cluster that is shared with nobody |

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::error::{Error, io, writing};

/// Held while the server is started or stopped; freed when dropped.
pub(crate) struct StartLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl StartLock {
    /// Waits until no other process starts or stops the server of this folder.
    pub fn take(dir: &Path) -> Result<Self, Error> {
        let file = open(dir, "start.lock")?;
        file.lock().map_err(io("cannot lock start.lock in", dir)).map(|()| Self(file))
    }
}

/// One process's claim on the running server; freed when dropped.
#[derive(Debug)]
pub(crate) struct UsersLock(File);

impl UsersLock {
    /// Joins the users. Only under [`StartLock`], so that nobody is just leaving.
    pub fn join(dir: &Path) -> Result<Self, Error> {
        let file = open(dir, "users.lock")?;
        taken(dir, file.try_lock_shared()).map(|()| Self(file))
    }

    /// Becomes the only user. Only under [`StartLock`].
    pub fn alone(dir: &Path) -> Result<Self, Error> {
        let file = open(dir, "users.lock")?;
        taken(dir, file.try_lock()).map(|()| Self(file))
    }

    /// Leaves, and says whether nobody else is left. Only under [`StartLock`].
    pub fn leave(self) -> bool {
        self.0.unlock().is_ok() && self.0.try_lock().is_ok()
    }
}

fn taken(dir: &Path, result: Result<(), TryLockError>) -> Result<(), Error> {
    match result {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::Busy { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io("cannot lock users.lock in", dir)(source)),
    }
}

fn open(dir: &Path, name: &str) -> Result<File, Error> {
    let path = dir.join(name);
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(writing("cannot open", dir, &path))
}
