//! Where a line of the journal comes from: the build, the machine, the day.

use std::{fs, path::Path, process::Command, sync::LazyLock};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// As it was when this was asked for first: sources may change while runs go on.
static COMMIT: LazyLock<String> = LazyLock::new(commit);

/// Where a line comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The commit that the program was built from; with a `+`, sources had changed since.
    pub commit: String,
    /// Whether it was built with optimisation.
    pub optimised: bool,
    /// The machine.
    pub machine: String,
    /// When the line was written.
    pub at: DateTime<Utc>,
}

impl Origin {
    /// This program, here, now.
    pub fn here() -> Self {
        Self { commit: COMMIT.clone(), optimised: env!("ORDEAL_OPT_LEVEL") != "0", machine: machine(), at: Utc::now() }
    }

    /// The build in words.
    pub const fn build(&self) -> &'static str {
        if self.optimised { "release" } else { "without optimisation" }
    }
}

fn commit() -> String {
    let built = env!("ORDEAL_COMMIT");
    if !built.is_empty() {
        return built.into();
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(here).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(head) = git(&["rev-parse", "--short=9", "HEAD"]) else { return "unknown".into() };
    let is_clean = git(&["status", "--porcelain", "--", ":/*.rs", ":/*.sql", ":/*.toml"]).is_some_and(|changes| changes.is_empty());
    if is_clean { head } else { format!("{head}+") }
}

/// Processors and memory: what figures depend on.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let memory = kib.map_or_else(String::new, |kib| format!(", {:.0} GiB", kib as f64 / f64::from(1 << 20)));
    format!("{cores} cores{memory}, {}", std::env::consts::ARCH)
}
