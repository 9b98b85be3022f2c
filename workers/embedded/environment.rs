//! The settings and places that discovery looks at.
//!
//! They are a value and not the process's own environment, so that a test can bring up a
//! cluster under other settings beside its neighbours.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where distributions and installers put the programs of a PostgreSQL server. A `*` stands for
/// any text within one name; of several matches the newest version comes first.
const SYSTEM_PLACES: [&str; 10] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/lib/postgresql*/bin",
    "/usr/libexec/postgresql*",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/opt/homebrew/opt/postgresql/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// Environment variables, and the folders where a system's PostgreSQL is looked for.
#[derive(Debug, Clone)]
pub struct Environment {
    vars: BTreeMap<OsString, OsString>,
    places: Vec<String>,
}

impl Environment {
    /// The environment of this process and the usual places of this kind of system.
    pub fn of_process() -> Self {
        Self { vars: std::env::vars_os().collect(), places: SYSTEM_PLACES.map(String::from).to_vec() }
    }

    /// The same with one variable set.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.vars.insert(name.into(), value.as_ref().into());
        self
    }

    /// The same without one variable.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.vars.remove(OsStr::new(name));
        self
    }

    /// The same with other places in which to look for a system's PostgreSQL; a `*` stands for any
    /// text within one name. PATH is looked at first all the same.
    #[must_use]
    pub fn with_places(mut self, places: &[&str]) -> Self {
        self.places = places.iter().map(|place| (*place).to_owned()).collect();
        self
    }

    /// The value of a variable; an empty value counts as unset.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        let value = self.vars.get(OsStr::new(name))?;
        (!value.is_empty()).then_some(value.as_os_str())
    }

    /// The places in which to look, in order.
    pub(crate) fn places(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.places.iter().flat_map(|pattern| expand(pattern))
    }

    /// The folder for sockets and other short-lived files.
    pub(crate) fn temp_dir(&self) -> PathBuf {
        let named = self.get("TMPDIR").map(PathBuf::from);
        named.filter(|dir| dir.is_absolute()).unwrap_or_else(|| PathBuf::from("/tmp"))
    }

    /// The first program of this name on PATH.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        self.programs(name).next()
    }

    /// Every program of this name on PATH, in order.
    pub(crate) fn programs<'a>(&'a self, name: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
        std::env::split_paths(self.get("PATH").unwrap_or_default())
            .filter(|dir| dir.is_absolute())
            .map(move |dir| dir.join(name))
            .filter(|path| path.is_file())
    }

    /// A command that sees these variables and no others.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.vars);
        command
    }

    /// A command of the server: settings for PostgreSQL's clients and for the language of
    /// messages are left out, because they would change what it does and what it prints.
    pub(crate) fn server_command(&self, program: &Path) -> Command {
        let mut command = self.command(program);
        for name in self.vars.keys() {
            let name_bytes = name.as_encoded_bytes();
            if name_bytes.starts_with(b"PG") || name_bytes.starts_with(b"LC_") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").current_dir("/");
        command
    }
}

/// Every existing folder that a pattern names, the highest version first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        found = match part.split_once('*') {
            None => found.into_iter().map(|dir| dir.join(part)).collect(),
            Some((head, tail)) => found.iter().flat_map(|dir| children(dir, head, tail)).collect(),
        };
    }
    found.retain(|dir| dir.is_dir());
    found
}

fn children(dir: &Path, head: &str, tail: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.len() >= head.len() + tail.len())
        .filter(|name| name.starts_with(head) && name.ends_with(tail))
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse(version_of(name)));
    names.into_iter().map(|name| dir.join(name)).collect()
}

/// The first number in a name: 17 for `postgresql@17`.
fn version_of(name: &str) -> u32 {
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}
