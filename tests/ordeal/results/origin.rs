//! Where a line of the journal comes from: the build, the machine, the day.

use std::{borrow::Cow, env, fs, path::Path, process::Command, sync::LazyLock};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// By this name a series tells the processes of its runs which commit it is of.
pub const COMMIT_OF_SERIES: &str = "ORDEAL_COMMIT_OF_SERIES";

/// As it was when the series began: sources may change while runs go on.
static COMMIT: LazyLock<String> = LazyLock::new(|| commit(env!("ORDEAL_COMMIT"), env::var(COMMIT_OF_SERIES).ok(), asked));

/// Where a line comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The commit that the program was built from; with a `+`, sources had changed since. Of a build without optimisation:
    /// the commit where it ran, when its series began.
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

    /// The commit for a page: that it is not the build's own is said with it.
    pub fn source(&self) -> Cow<'_, str> {
        if self.optimised { Cow::Borrowed(&self.commit) } else { format!("{} (where it ran, {})", self.commit, self.build()).into() }
    }
}

/// The commit that is built in; or what the series says; or what the answer is here.
fn commit(built: &str, told: Option<String>, ask: fn() -> String) -> String {
    if built.is_empty() { told.filter(|told| !told.is_empty()).unwrap_or_else(ask) } else { built.into() }
}

fn asked() -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_series_are_of_one_commit() {
        let ask = || "asked".to_owned();
        assert_eq!(commit("", Some("told".into()), ask), "told");
        assert_eq!(commit("built", Some("told".into()), ask), "built");
        assert_eq!(commit("", None, ask), "asked");
        assert_eq!(commit("", Some(String::new()), ask), "asked");
    }

    #[test]
    fn a_commit_that_is_not_the_builds_own_says_so() {
        let origin = Origin { commit: "a1".into(), optimised: false, machine: String::new(), at: DateTime::UNIX_EPOCH };
        assert_eq!(origin.source(), "a1 (where it ran, without optimisation)");
        assert_eq!(Origin { optimised: true, ..origin }.source(), "a1");
    }
}
