//! What became of a process that a file names by its number.
//!
//! A number alone proves nothing: its process may be a zombie that nobody reaps, or the number may
//! have gone to a stranger since. So the arguments are looked at too.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// The state of a process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// There is none.
    Gone,
    /// It has ended and its parent has not looked yet.
    Zombie,
    /// It runs with these arguments.
    Running(Vec<String>),
}

impl Life {
    /// Looks at a process.
    pub fn of(pid: u32) -> Self {
        look(pid)
    }

    /// Whether this is the postmaster of a data folder. A postmaster keeps the arguments it was
    /// started with; its children show others.
    pub fn is_postmaster_of(&self, data: &Path) -> bool {
        let data = data.to_string_lossy();
        let Self::Running(args) = self else {
            return false;
        };
        args.windows(2).any(|pair| pair[0] == "-D" && pair[1] == data)
    }
}

/// Children of a postmaster that ended without them: processes titled with the cluster's name.
pub(crate) fn children_of_cluster(name: &str) -> Vec<u32> {
    let title = format!("postgres: {name}: ");
    everyone().filter(|(_, args)| args.starts_with(&title)).map(|(pid, _)| pid).collect()
}

/// Sends a signal. A process that is gone is no error: it is what was wanted.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(process) = number {
        let _gone_already = kill_process(process, signal);
    }
}

#[cfg(target_os = "linux")]
fn look(pid: u32) -> Life {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return Life::Gone;
    };
    // The name in parentheses may itself hold spaces and parentheses.
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
    if state.starts_with(['Z', 'X']) {
        return Life::Zombie;
    }
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let args = line.split(|byte| *byte == 0);
    Life::Running(args.map(|arg| String::from_utf8_lossy(arg).into_owned()).collect())
}

/// Every process with its arguments or title.
#[cfg(target_os = "linux")]
fn everyone() -> impl Iterator<Item = (u32, String)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&line).into_owned()))
    })
}

#[cfg(not(target_os = "linux"))]
fn look(pid: u32) -> Life {
    let shown = std::process::Command::new("ps").args(["-ww", "-o", "stat=", "-o", "args=", "-p", &pid.to_string()]).output();
    let Ok(shown) = shown else {
        return Life::Gone;
    };
    let text = String::from_utf8_lossy(&shown.stdout);
    let Some((state, args)) = text.trim().split_once(' ') else {
        return Life::Gone;
    };
    if state.starts_with('Z') {
        return Life::Zombie;
    }
    // A folder with spaces arrives cut up: the text after `-D ` up to ` -k ` is one argument.
    let data = args.split_once(" -D ").and_then(|(_, rest)| rest.split_once(" -k "));
    Life::Running(data.map_or_else(Vec::new, |(data, _)| vec!["-D".to_owned(), data.to_owned()]))
}

#[cfg(not(target_os = "linux"))]
fn everyone() -> impl Iterator<Item = (u32, String)> {
    let shown = std::process::Command::new("ps").args(["-ww", "-a", "-x", "-o", "pid=", "-o", "args="]).output();
    let text = shown.map_or_else(|_| Vec::new(), |shown| shown.stdout);
    let lines: Vec<String> = String::from_utf8_lossy(&text).lines().map(String::from).collect();
    lines.into_iter().filter_map(|line| {
        let (pid, args) = line.trim_start().split_once(' ')?;
        Some((pid.parse().ok()?, args.trim_start().to_owned()))
    })
}
