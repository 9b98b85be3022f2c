//! `Cargo.lock`: every package of the workspace with its version and checksum.

use anyhow::Context;
use serde::Deserialize;

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Locked {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 of its archive, in hexadecimal digits; none of what is ours.
    #[serde(default)]
    pub checksum: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

/// Reads a lock.
///
/// # Errors
/// When it is none.
pub fn read(text: &str) -> anyhow::Result<Vec<Locked>> {
    Ok(toml::from_str::<Lock>(text).context("Cargo.lock cannot be read")?.package)
}

/// The lock of this workspace.
///
/// # Errors
/// When it cannot be read.
pub fn of_workspace() -> anyhow::Result<Vec<Locked>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
    read(&std::fs::read_to_string(path).with_context(|| format!("{path} cannot be read"))?)
}
