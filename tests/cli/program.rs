//! The `rawops` binary, run with an environment that holds only what a test says.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
};

use tokio::process::{Child, Command};

/// What a command said.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Answer {
    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The answer of a command that must succeed.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// The sentence of a command that must fail with this code: one line, and nothing else anywhere.
    pub fn refusal(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        self.err.trim().strip_prefix("rawops: ").unwrap_or_else(|| panic!("{:?}", self.err)).to_string()
    }
}

/// A command with these words, without settings of whoever runs the tests.
pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rawops"));
    command.args(words).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for kept in ["PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "RAWOPS_PG", "RAWOPS_PG_BIN", "RAWOPS_PG_DOWNLOAD"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command.env("USER", "ada");
    command
}

/// Runs a command to its end.
pub async fn answer(mut command: Command) -> Answer {
    let output = command.output().await.expect("the program can be run");
    let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
    Answer { code: code(output.status), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs a command on a database.
pub async fn rawops(url: &str, words: &[&str]) -> Answer {
    let mut command = command(words);
    command.env("DATABASE_URL", url);
    answer(command).await
}

/// Runs a command in a folder, with no database named.
pub async fn rawops_in(folder: &Path, words: &[&str]) -> Answer {
    let mut command = command(words);
    command.current_dir(folder);
    answer(command).await
}

/// Sends a process a signal by name.
pub fn signal(child: &Child, name: &str) {
    let pid = child.id().expect("it has not ended").to_string();
    let sent = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill can be run");
    assert!(sent.success(), "the process is alive to get {name}");
}

/// An exit code; negative for a signal.
pub fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| -status.signal().unwrap_or_default())
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
