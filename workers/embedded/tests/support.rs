//! Folders that vanish, SQL through psql, and a second process that holds a cluster.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use embedded::{Cluster, Options};

/// A folder for one test; it goes when the test is over.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rawops-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("the temporary folder can be written");
        Self(path.canonicalize().expect("the folder was just made"))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file with its folders.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        let parent = path.parent().expect("a file has a folder");
        fs::create_dir_all(parent).expect("the folder can be written");
        fs::write(&path, text).expect("the folder can be written");
        path
    }

    /// A folder of programs in which each says that it is this PostgreSQL.
    pub fn fake_server(&self, name: &str, version: &str) -> PathBuf {
        for program in ["postgres", "initdb"] {
            let script = format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n");
            let path = self.write(&format!("{name}/{program}"), &script);
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(path, mode).expect("our own file");
        }
        self.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = fs::remove_dir_all(&self.0);
    }
}

/// Brings a cluster up and returns the steps it took, each up to its colon.
pub fn ensure(options: &Options) -> (Cluster, Vec<String>) {
    let steps = RefCell::new(Vec::new());
    let cluster = embedded::ensure(options, |step, took| {
        let name = step.split(':').next().unwrap_or_default();
        steps.borrow_mut().push(name.to_owned());
        eprintln!("{step} ({} ms)", took.as_millis());
    });
    let cluster = cluster.unwrap_or_else(|error| panic!("{error}"));
    (cluster, steps.into_inner())
}

/// The answer of the server, one line a row.
pub fn sql(cluster: &Cluster, statement: &str) -> String {
    let output = psql(cluster, statement).output().expect("psql runs");
    assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// psql with one statement, not yet run.
pub fn psql(cluster: &Cluster, statement: &str) -> Command {
    let mut command = Command::new(cluster.bindir().join("psql"));
    command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres"]);
    command.arg("-h").arg(cluster.socket_dir()).arg("-c").arg(statement);
    command
}

/// Waits until something is so.
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process runs; a zombie does not.
pub fn runs(pid: u32) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output();
    let state = output.expect("ps runs").stdout;
    !state.trim_ascii().is_empty() && !state.starts_with(b"Z")
}

/// Ends a process the hard way.
pub fn kill_9(pid: u32) {
    let status = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(status.expect("kill runs").success());
}

/// The children of a process.
pub fn children(pid: u32) -> Vec<u32> {
    let output = Command::new("ps").args(["-e", "-o", "pid=", "-o", "ppid="]).output();
    let text = output.expect("ps runs").stdout;
    let pairs = String::from_utf8_lossy(&text).into_owned();
    let pairs = pairs.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    pairs.filter(|(_, parent)| *parent == pid).map(|(child, _)| child).collect()
}

pub fn we_are_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// Another process that uses the cluster of a folder.
pub struct Holder {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Holder {
    pub fn start(dir: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_embedded-hold"));
        command.arg(dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary was built");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("piped");
        let mut url = String::new();
        BufReader::new(stdout).read_line(&mut url).expect("a pipe can be read");
        assert!(url.starts_with("postgres://"), "the holder is up");
        Self { child, stdin }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as its user would.
    pub fn leave(mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().expect("our child").success());
    }

    /// Ends it with kill -9.
    pub fn kill(mut self) {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child");
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Also when the test has failed, before its folder goes.
        drop(self.stdin.take());
        let _ended_already = self.child.wait();
    }
}
