//! Whether this machine has namespaces for workers: found out once, by one that is made, cut and mended. What runs have left
//! that were killed is swept away before.

use std::{fs, io, net::TcpStream, path::Path, process::Stdio, sync::OnceLock, time::Duration};

use super::{Cut, NAMES, Namespace, ip, wire};

/// How long a trial waits for what must come.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// A port that nobody listens at.
const PORT: u16 = 9;
/// And for what must not.
pub(super) const SILENCE: Duration = Duration::from_millis(60);

/// Why this machine has no namespaces for workers; `None` when it has. Found out once, by a trial.
pub fn absence() -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    let trial = || {
        sweep();
        trial().err().map(|error| format!("{error:#}"))
    };
    FOUND.get_or_init(trial).as_deref()
}

/// Whether workers can live in namespaces, in a sentence.
pub fn notice() -> String {
    match absence() {
        None => "network namespaces: workers can be partitioned".into(),
        Some(why) => format!("no network namespaces, so nothing is partitioned: {why}"),
    }
}

/// Takes away what runs have left that were killed.
fn sweep() {
    for entry in fs::read_dir(NAMES).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_dead = |pid: u32| !Path::new("/proc").join(pid.to_string()).exists();
        if wire::maker(&name).is_some_and(is_dead) {
            // Another run may be taking it away too. Its wire goes with it.
            let _ = ip(&["netns", "del", &name], "");
        }
    }
}

/// Makes a namespace, and sees that it does what runs rely on: one that can be made and does not is a fault, and not absent.
fn trial() -> anyhow::Result<()> {
    anyhow::ensure!(rustix::process::getuid().is_root(), "only root may make them");
    let namespace = Namespace::make(&std::env::temp_dir())?;
    let status = namespace.command().arg("true").stdin(Stdio::null()).output()?.status;
    anyhow::ensure!(status.success(), "no process can be started in one");
    prove(&namespace).unwrap_or_else(|error| panic!("a network namespace can be made here, and does not work: {error:#}"));
    Ok(())
}

/// An answer comes over the wire, but not while that is cut.
fn prove(namespace: &Namespace) -> anyhow::Result<()> {
    // Nobody listens there, which the namespace's kernel says.
    let is_told = |patience: Duration| {
        let error = TcpStream::connect_timeout(&(namespace.worker(), PORT).into(), patience).err().map(|error| error.kind());
        match error {
            Some(io::ErrorKind::ConnectionRefused) => Ok(true),
            Some(io::ErrorKind::TimedOut) => Ok(false),
            other => Err(anyhow::anyhow!("the other end of a wire cannot be reached: {other:?}")),
        }
    };
    for cut in [Cut::Requests, Cut::Answers, Cut::Both] {
        anyhow::ensure!(is_told(PATIENCE)?, "nothing comes through a wire");
        namespace.cut(cut)?;
        anyhow::ensure!(!is_told(SILENCE)?, "{} come through a wire on which they are cut", cut.word());
        namespace.mend()?;
    }
    anyhow::ensure!(is_told(PATIENCE)?, "nothing comes through a wire that was mended");
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::process::Command;

    use super::*;
    use crate::namespace::tests::is_there;

    /// A namespace; `None` where there are none, which the machine has said then.
    pub fn made() -> Option<Namespace> {
        if let Some(why) = absence() {
            assert!(!why.is_empty() && notice().contains(why));
            eprintln!("{}", notice());
            return None;
        }
        Some(Namespace::make(&std::env::temp_dir()).expect("the trial made one too"))
    }

    #[test]
    fn what_a_dead_run_has_left_is_swept_away_and_nothing_else() {
        let Some(namespace) = made() else { return };
        let mut dead = Command::new("true").spawn().expect("it can be started");
        dead.wait().expect("it ends");
        let left = wire::namespace(dead.id(), 0);
        ip(&["netns", "add", &left], "").expect("a name can be left");
        sweep();
        assert!(!is_there(&left), "{left} is still there");
        assert!(is_there(&namespace.name), "a living run lost its own");
    }
}
