//! Stopping the server after a process that did not stop it itself.
//!
//! A test binary ends without dropping its statics, and any process may be killed with -9. So each
//! user of a cluster has a small shell beside it that reads from a pipe. The user never writes; the
//! kernel closes the pipe when the user ends, in whatever way. The shell then does what the user
//! would have done: it takes `start.lock`, and if `users.lock` is free, it ends the server with
//! SIGINT and waits for it. A newcomer waits for `start.lock` meanwhile, so no server is ever
//! stopped under a user.
//!
//! The locks are the same as in `locks.rs`: `flock(1)` or, on macOS, perl takes them. On a system
//! with neither the server stays, and the next start finds it and uses it.

use std::path::Path;
use std::process::{Child, Stdio};

use std::os::unix::process::CommandExt;

use crate::environment::Environment;

/// `$1` is the folder of the locks, `$2` the data folder. The postmaster is known by its arguments,
/// which every user may read, and not by its number alone.
const SCRIPT: &str = r#"
cat >/dev/null
exec 8>>"$1/start.lock" 9>>"$1/users.lock" || exit 0
if command -v flock >/dev/null; then
    flock -x 8 && flock -xn 9 || exit 0
else
    perl -e 'use Fcntl ":flock";
        for ([8, LOCK_EX], [9, LOCK_EX | LOCK_NB]) {
            open($file[$$_[0]], ">>&=", $$_[0]) && flock($file[$$_[0]], $$_[1]) || exit 1;
        }' || exit 0
fi
{ read -r pid; for _ in 2 3 4 5; do read -r sockets; done; } <"$2/postmaster.pid" || exit 0
runs() {
    if [ -r "/proc/$1/cmdline" ]; then
        tr '\0' '\n' <"/proc/$1/cmdline" | grep -Fx -A1 -e -D | grep -Fxq -e "$2"
    else
        ps -ww -o args= -p "$1" | grep -Fq -e " -D $2 "
    fi
}
runs "$pid" "$2" || exit 0
kill -INT "$pid"
while [ -e "$2/postmaster.pid" ] && runs "$pid" "$2"; do sleep 0.02; done
rmdir "$sockets"
"#;

/// The shell that outlives us by a moment.
#[derive(Debug)]
pub(crate) struct Watcher(Child);

impl Watcher {
    /// Starts watching. `None` when there is no shell: then nobody cleans up after a kill -9, and
    /// the next start finds the server and uses it.
    pub fn spawn(environment: &Environment, dir: &Path, data: &Path) -> Option<Self> {
        let mut command = environment.command(Path::new("/bin/sh"));
        command.args(["-c", SCRIPT, "rawops-watcher"]).arg(dir).arg(data);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/").process_group(0);
        command.spawn().ok().map(Self)
    }

    /// Ends the watch: we have stopped the server ourselves.
    pub fn dismiss(mut self) {
        let _ended_already = self.0.kill();
        let _status_is_of_no_interest = self.0.wait();
    }

    /// Lets the watcher look once more, as if we had ended.
    pub fn hand_over(mut self) {
        drop(self.0.stdin.take());
    }
}
