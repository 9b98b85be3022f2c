//! What a cluster promises about a crash: the settings of each profile.

use std::fmt::Write;

/// What happens to committed data when the machine, not just the server, goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Everything committed is kept: fsync, synchronous commit and full page writes are on.
    Kept,
    /// For tests: nothing waits for the disk. A killed server loses nothing that was committed; a
    /// machine that loses power may lose the whole cluster, which is then made anew.
    Throwaway,
}

const KEPT: &str = "\
fsync = on
synchronous_commit = on
full_page_writes = on
shared_buffers = 256MB
max_wal_size = 2GB
";

const THROWAWAY: &str = "\
fsync = off
synchronous_commit = off
full_page_writes = off
jit = off
autovacuum = off
wal_level = minimal
max_wal_senders = 0
shared_buffers = 128MB
max_wal_size = 1GB
";

/// Nothing listens on a network. Times in the log and in sessions are UTC on every machine.
const BOTH: &str = "\
# Written at every start; settings of your own belong into postgresql.auto.conf (alter system).
listen_addresses = ''
max_connections = 200
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
";

impl Profile {
    /// The name under which a data folder remembers its profile.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Throwaway => "throw-away",
        }
    }

    /// The file that the server's configuration includes last.
    pub(crate) fn conf(self) -> String {
        let mut text = BOTH.to_owned();
        text += match self {
            Self::Kept => KEPT,
            Self::Throwaway => THROWAWAY,
        };
        if self == Self::Kept && cfg!(target_os = "linux") {
            // The default visits every file after a crash: 4 to 25 s with some thirty databases.
            text += "recovery_init_sync_method = syncfs\n";
        }
        text
    }

    /// The arguments of `initdb` besides the folder.
    pub(crate) fn initdb_args(self, major: u32) -> Vec<&'static str> {
        let mut args = vec!["-U", "postgres", "--auth=trust", "--encoding=UTF8"];
        // Not C: there citext folds only ASCII letters.
        args.extend(match major {
            17.. if cfg!(target_os = "linux") => {
                vec!["--locale-provider=builtin", "--locale=C.UTF-8"]
            }
            17.. => vec!["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"],
            _ if cfg!(target_os = "linux") => vec!["--locale=C.UTF-8"],
            _ => vec!["--locale=en_US.UTF-8"],
        });
        match self {
            Self::Throwaway => args.push("--no-sync"),
            Self::Kept if major >= 17 && cfg!(target_os = "linux") => {
                args.push("--sync-method=syncfs");
            }
            Self::Kept => {}
        }
        args.push("--no-instructions");
        args
    }
}

/// What is written beside a data folder: the server that made it, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub bindir: std::path::PathBuf,
    pub version: String,
    pub profile: String,
}

impl Record {
    /// As text, one `name = value` a line.
    pub fn write(&self) -> String {
        let mut text = String::new();
        let lines = [
            ("bindir", self.bindir.to_string_lossy()),
            ("version", self.version.as_str().into()),
            ("profile", self.profile.as_str().into()),
        ];
        for (name, value) in lines {
            writeln!(text, "{name} = {value}").expect("writing to a string does not fail");
        }
        text
    }

    /// From text; `None` when a line is missing.
    pub fn read(text: &str) -> Option<Self> {
        let value = |wanted: &str| {
            let pairs = text.lines().filter_map(|line| line.split_once(" = "));
            let mut values = pairs.filter(|(name, _)| *name == wanted);
            values.next().map(|(_, value)| value.to_owned())
        };
        Some(Self { bindir: value("bindir")?.into(), version: value("version")?, profile: value("profile")? })
    }
}
