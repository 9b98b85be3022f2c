//! The machine that was measured on.

use serde::{Deserialize, Serialize};

/// What a reader needs to place the figures.
#[derive(Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name, and how many of it.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// The operating system's kernel.
    pub kernel: String,
    /// The server's version.
    pub postgresql: String,
    /// The day of the measurement.
    pub day: chrono::NaiveDate,
}

/// Describes this machine; what the system does not tell is left empty.
pub fn describe(postgresql: &str) -> Machine {
    let field = |path: &str, name: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_string())
            .unwrap_or_default()
    };
    let memory = field("/proc/meminfo", "MemTotal");
    let kib: u64 = memory.split(' ').next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
    Machine {
        processor: field("/proc/cpuinfo", "model name"),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        memory_gib: kib.div_ceil(1 << 20),
        kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_string(),
        postgresql: postgresql.to_string(),
        day: chrono::Utc::now().date_naive(),
    }
}

/// The last commit that changed what is measured; none, where it was changed since, or is no checkout.
pub fn build() -> Option<String> {
    const PARTS: [&str; 6] = ["engine", "migrations", "web", "jobs", "bench", "Cargo.lock"];
    let git = |arguments: &[&str]| {
        let ended = std::process::Command::new("git").current_dir(crate::home().join("..")).args(arguments).args(PARTS).output().ok()?;
        ended.status.success().then(|| String::from_utf8_lossy(&ended.stdout).trim().to_string())
    };
    let unchanged = git(&["status", "--porcelain", "--", ":!bench/results.json"])?.is_empty();
    git(&["log", "-1", "--format=%h", "--"]).filter(|commit| unchanged && !commit.is_empty())
}
