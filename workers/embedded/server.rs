//! One set of PostgreSQL programs, and whether it will do.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment::Environment;
use crate::root::{Account, run_as};

/// The oldest version the schema works on.
pub(crate) const OLDEST: u32 = 14;

/// Extensions that the schema cannot do without; both come with PostgreSQL's contrib modules.
const NEEDED: [&str; 2] = ["citext", "pg_trgm"];

/// Programs that have shown that they run here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub bindir: PathBuf,
    pub major: u32,
    /// Like `15.18`.
    pub version: String,
}

impl Server {
    /// Tries the programs of a folder. The reason for a refusal fits behind "folder: ".
    ///
    /// They are run, not just looked at: only that finds a missing library or a C library that is
    /// too old.
    pub fn probe(bindir: &Path, environment: &Environment, account: Option<&Account>) -> Result<Self, String> {
        for name in ["postgres", "initdb"] {
            if !bindir.join(name).is_file() {
                return Err(format!("has no program {name}"));
            }
        }
        let mut version = environment.server_command(&bindir.join("postgres"));
        let text = output_of(version.arg("--version"), account)?;
        let (major, version) = parse_version(&text).ok_or_else(|| format!("answers {:?} when asked for its version", text.trim()))?;
        if major < OLDEST {
            return Err(format!("is PostgreSQL {version}, and {OLDEST} is the oldest that works"));
        }
        let mut show = environment.server_command(&bindir.join("initdb"));
        let shown = output_of(show.args(["--show", "-D", "/nonexistent"]), account)?;
        if let Some(name) = missing_extension(&shown)? {
            return Err(format!("is PostgreSQL {version} without the extension {name} (contrib is not installed)"));
        }
        Ok(Self { bindir: bindir.to_owned(), major, version })
    }
}

/// The first needed extension that is not installed, by what `initdb --show` prints.
fn missing_extension(shown: &str) -> Result<Option<&'static str>, String> {
    let mut lines = shown.lines();
    let share = lines.find_map(|line| line.strip_prefix("share_path="));
    let share = share.ok_or("does not say where its extensions are")?;
    let folder = Path::new(share).join("extension");
    let there = |name: &str| folder.join(format!("{name}.control")).exists();
    Ok(NEEDED.into_iter().find(|name| !there(name)))
}

/// Runs a program and returns everything that it prints; its failure is the error.
fn output_of(command: &mut Command, account: Option<&Account>) -> Result<String, String> {
    run_as(command, account);
    let output = command.output().map_err(|error| format!("cannot be run: {error}"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    Err(format!("its {} fails: {}", program.to_string_lossy(), text.trim().replace('\n', "; ")))
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` is (15, "15.18").
fn parse_version(text: &str) -> Option<(u32, String)> {
    let (_, rest) = text.split_once("(PostgreSQL) ")?;
    let version = rest.split_whitespace().next()?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    Some((version[..digits].parse().ok()?, version.to_owned()))
}
