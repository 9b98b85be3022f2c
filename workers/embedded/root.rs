//! The account under which the server runs.
//!
//! PostgreSQL refuses to run as root. A root process (a container, a build machine) therefore
//! starts it as account `postgres`, else `nobody`, and gives that account the data folder and the
//! socket folder, nothing else.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, io};

/// An account of /etc/passwd; `initdb` wants its user to have an entry there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

/// The user of this process.
pub(crate) fn our_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

impl Account {
    /// The account for the server when we are root, `None` when we are not and run it as ourselves.
    /// Of `postgres` and `nobody`, the one that owns existing data comes first.
    pub fn for_server(data_owner: Option<u32>) -> Result<Option<Self>, Error> {
        if our_uid() != 0 {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let accounts: Vec<Self> = ["postgres", "nobody"].iter().filter_map(|name| named(&passwd, name)).collect();
        let owner = accounts.iter().find(|account| Some(account.uid) == data_owner);
        match owner.or(accounts.first()) {
            Some(account) => Ok(Some(account.clone())),
            None => Err(Error::NoAccount),
        }
    }

    /// Whether this account can enter a folder: every existing part of the path lets others pass.
    pub fn reaches(&self, path: &Path) -> bool {
        path.ancestors().all(|part| match fs::metadata(part) {
            Ok(meta) if meta.uid() == self.uid => meta.mode() & 0o100 != 0,
            Ok(meta) => meta.mode() & 0o001 != 0,
            Err(_) => true,
        })
    }
}

/// Lets a command run as the account, without the groups of root.
pub(crate) fn run_as(command: &mut Command, account: Option<&Account>) {
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
}

/// Hands a file or folder to the account.
pub(crate) fn give(path: &Path, account: Option<&Account>) -> Result<(), Error> {
    let Some(account) = account else {
        return Ok(());
    };
    std::os::unix::fs::chown(path, Some(account.uid), Some(account.gid)).map_err(io("cannot change the owner of", path))
}

/// The name of a user, or its number where /etc/passwd has none.
pub(crate) fn user_name(uid: u32) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entries = passwd.lines().filter_map(parse);
    let mut names = entries.filter(|account| account.uid == uid);
    names.next().map_or_else(|| uid.to_string(), |account| account.name)
}

fn named(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().filter_map(parse).find(|account| account.name == name)
}

fn parse(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let uid = id(fields.nth(1)?)?;
    let gid = id(fields.next()?)?;
    Some(Account { name, uid, gid })
}

/// macOS writes the number of `nobody` as -2.
fn id(field: &str) -> Option<u32> {
    let number: i64 = field.parse().ok()?;
    u32::try_from(number).ok().or_else(|| i32::try_from(number).ok().map(i32::cast_unsigned))
}
