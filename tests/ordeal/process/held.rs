//! What a process holds of the machine: files, memory, processes of its own.

use std::{convert::Infallible, fs, future::ready, io, time::Duration};

use super::Fleet;
use crate::wait::until_none_is_left;

/// Files of one that has nothing to do. Some twenty are its own; a worker keeps twenty connections, and behind a pooler each of them is
/// three sockets.
const FILES: usize = 128;
/// Kilobytes of memory of one that has nothing to do.
const MEMORY_KB: u64 = 512 * 1024;
/// What a pool or an ended job holds a moment longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks at every process that runs until each holds no more than one that has nothing to do; what is too much, one line a process.
pub async fn too_much(fleet: &Fleet) -> Vec<String> {
    let look = || {
        let held = fleet.all(|_| true).into_iter().filter_map(|place| excess(fleet.pid(place)?).ok().flatten());
        ready(Ok::<_, Infallible>(held.collect()))
    };
    match until_none_is_left(PATIENCE, look).await {
        Ok(held) => held,
        Err(never) => match never {},
    }
}

/// `None`: it holds no more than it may.
///
/// # Errors
/// When there is no such process any more.
fn excess(pid: u32) -> io::Result<Option<String>> {
    let files = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    let memory = memory_kb(&fs::read_to_string(format!("/proc/{pid}/status"))?);
    let mut children = String::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end meanwhile.
        children += &fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
    }
    Ok(judge(files, memory, children.trim()).map(|held| format!("process {pid} holds {held}")))
}

fn judge(files: usize, memory_kb: u64, children: &str) -> Option<String> {
    let is_too_much = files > FILES || memory_kb > MEMORY_KB || !children.is_empty();
    is_too_much.then(|| format!("{files} files, {memory_kb} KB and the processes `{children}`"))
}

fn memory_kb(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::{
        io::BufRead as _,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn one_file_a_kilobyte_or_a_process_above_what_may_be_is_too_much() {
        assert_eq!(judge(FILES, MEMORY_KB, ""), None);
        assert!(judge(FILES + 1, 0, "").is_some() && judge(0, MEMORY_KB + 1, "").is_some() && judge(0, 0, "17").is_some());
        assert_eq!(memory_kb("Name:\tx\nVmRSS:\t    1234 kB\n"), 1234);
    }

    #[test]
    fn what_a_process_holds_is_seen() {
        let mut idle = Command::new("sleep").arg("60").spawn().expect("a process can be started");
        assert_eq!(excess(idle.id()).expect("it is there"), None);
        let mut parent =
            Command::new("sh").args(["-c", "sleep 60 & echo $!; wait"]).stdout(Stdio::piped()).spawn().expect("it can be started");
        let mut child = String::new();
        io::BufReader::new(parent.stdout.take().expect("its words")).read_line(&mut child).expect("it says which it started");
        let said = excess(parent.id()).expect("it is there").expect("that is too much");
        assert!(said.ends_with(&format!("and the processes `{}`", child.trim())), "{said}");
        let child = rustix::process::Pid::from_raw(child.trim().parse().expect("a number")).expect("a process");
        rustix::process::kill_process(child, rustix::process::Signal::KILL).expect("it can be ended");
        for process in [&mut idle, &mut parent] {
            process.kill().expect("it can be ended");
            process.wait().expect("it ends");
        }
        assert!(excess(idle.id()).is_err(), "it is gone");
    }
}
