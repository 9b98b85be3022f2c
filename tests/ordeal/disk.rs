//! A disk of its own for a server's data: one in memory, whose size can be changed while it is written to. It is mounted where
//! this process alone sees it, so it goes with the process, however that ends.

use std::{
    fs,
    io::{Error, Result},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Set in a process that has mounts of its own, and in those that it starts.
const OWN: &str = "ORDEAL_OWN_MOUNTS";
/// How large it is when it is not full, in bytes. What is not written takes no memory.
const SIZE: u64 = 4 << 30;
/// It may be written to while its size is changed.
const TRIES: usize = 20;

/// Whether servers of this process have disks of their own: not if the mark is there and the mounts are everybody's.
pub fn are_own() -> bool {
    let mounts = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    std::env::var_os(OWN).is_some() && mounts("self") != mounts("1")
}

/// How much memory this machine has to give, in bytes.
fn memory() -> Option<u64> {
    let told = fs::read_to_string("/proc/meminfo").ok()?;
    let line = told.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// Starts this program again, as the same process with the same words, with mounts of its own.
///
/// # Errors
/// Always, if it comes back at all: why this process may not have them.
pub fn with_own_mounts() -> Result<std::convert::Infallible> {
    if !rustix::process::getuid().is_root() {
        return Err(Error::other("only root may mount"));
    }
    if memory().is_none_or(|memory| memory < 3 * SIZE) {
        return Err(Error::other("they are in memory, and this machine has not enough of it"));
    }
    run(apart().args(["mount", "-t", "tmpfs", "-o", "size=1m", "ordeal"]).arg(std::env::temp_dir()))?;
    Err(apart().arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(OWN, "1").exec())
}

/// A program to be named, with mounts of its own.
fn apart() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]);
    command
}

/// One disk.
#[derive(Debug)]
pub struct Disk {
    place: PathBuf,
}

impl Disk {
    /// Puts one in the place of an empty folder, for the folder's owner; none where mounts would be everybody's.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn at(place: &Path) -> Result<Option<Self>> {
        if !are_own() {
            return Ok(None);
        }
        let owner = fs::metadata(place)?;
        let options = format!("size={SIZE},mode=0700,uid={},gid={}", owner.uid(), owner.gid());
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "ordeal"]).arg(place))?;
        Ok(Some(Self { place: place.into() }))
    }

    /// Leaves so much room on it, in bytes, or as much as it had at first.
    ///
    /// # Errors
    /// When its size cannot be changed.
    pub fn leave(&self, room: Option<u64>) -> Result<()> {
        let mut tried = Ok(());
        for _ in 0..TRIES {
            let used = self.used()?;
            let size = room.map_or(SIZE, |room| used + room);
            tried = run(Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.place));
            if tried.is_ok() {
                break;
            }
        }
        tried
    }

    /// How much of it is written, in bytes.
    fn used(&self) -> Result<u64> {
        let told = rustix::fs::statvfs(&self.place)?;
        Ok((told.f_blocks - told.f_bfree) * told.f_frsize)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // One that stays goes with the process.
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.place));
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::other(format!("{}: {}", command.get_program().to_string_lossy(), String::from_utf8_lossy(&output.stderr).trim())))
}
