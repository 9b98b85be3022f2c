//! Tells an optimised build which commit it is built from, which the journal of results says of every run. A build of every
//! day asks when it runs instead, so that a commit does not cost it another build.

use std::{
    env,
    hash::{DefaultHasher, Hasher},
    path::{Path, PathBuf},
    process::Command,
};

/// What runs are made of, from the root of the workspace.
const SOURCES: [&str; 9] = ["engine", "jobs", "migrations", "sandbox", "schedules", "web", "workers", "Cargo.lock", "Cargo.toml"];
/// What runs write beside the sources of this package.
const WRITTEN: [&str; 4] = ["RESULTS.md", "runs.jsonl", "trials.jsonl", "seeds"];

/// What draws programs and judges them.
const HARNESS: [&str; 6] = ["checkers", "facts", "kinds", "workload", "model.rs", "program.rs"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let level = env::var("OPT_LEVEL").unwrap_or_default();
    println!("cargo::rustc-env=ORDEAL_OPT_LEVEL={level}");
    let commit = if level == "0" { String::new() } else { commit() };
    println!("cargo::rustc-env=ORDEAL_COMMIT={commit}");
    let mut sum = DefaultHasher::new();
    for name in HARNESS {
        println!("cargo::rerun-if-changed={name}");
        add(Path::new(name), &mut sum);
    }
    println!("cargo::rustc-env=ORDEAL_HARNESS={:016x}", sum.finish());
}

/// The commit, with a mark when sources differ from it; nothing where there is no repository.
fn commit() -> String {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../..");
    let Some(head) = git(&root, &["rev-parse", "--short=9", "HEAD"]) else { return String::new() };
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    let own = std::fs::read_dir(root.join("tests/ordeal")).into_iter().flatten().flatten();
    for source in own.filter(|entry| !WRITTEN.iter().any(|written| entry.file_name() == *written)) {
        println!("cargo::rerun-if-changed={}", source.path().display());
    }
    if let Some(moves) = git(&root, &["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={}", root.join(moves).display());
    }
    let changes = git(&root, &["status", "--porcelain", "--", "*.rs", "*.sql", "*.toml", "Cargo.lock"]);
    if changes.is_none_or(|changes| changes.is_empty()) { head } else { format!("{head}+") }
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// Adds a file's bytes to a sum, or those of all in a folder, in the order of their names.
fn add(path: &Path, sum: &mut DefaultHasher) {
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        entries.sort();
        for entry in entries {
            add(&entry, sum);
        }
        return;
    }
    sum.write(&std::fs::read(path).unwrap_or_default());
}
