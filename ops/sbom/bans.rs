//! The versions that `deny.toml` bans, looked for in the lock without cargo-deny: it is not on every machine.

use anyhow::Context;
use semver::{Version, VersionReq};
use serde::Deserialize;

use crate::lock::Locked;

/// A package that must not be there, in these versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Its name.
    pub name: String,
    /// Which versions; none: all.
    pub versions: Option<VersionReq>,
    /// Why.
    pub reason: String,
}

#[derive(Deserialize)]
struct Deny {
    bans: Bans,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "crate")]
    which: String,
    reason: String,
}

/// The bans of a `deny.toml`.
///
/// # Errors
/// When it cannot be read.
pub fn read(text: &str) -> anyhow::Result<Vec<Ban>> {
    let deny: Deny = toml::from_str(text).context("deny.toml cannot be read")?;
    let ban = |Entry { which, reason }: Entry| {
        let (name, versions) = match which.split_once('@') {
            Some((name, versions)) => (name, Some(versions.parse().with_context(|| format!("{which} names no versions"))?)),
            None => (which.as_str(), None),
        };
        Ok(Ban { name: name.into(), versions, reason })
    };
    deny.bans.deny.into_iter().map(ban).collect()
}

/// What of a lock is banned, a sentence each.
///
/// # Errors
/// When a version of the lock is none.
pub fn found(lock: &[Locked], bans: &[Ban]) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for locked in lock {
        let version: Version = locked.version.parse().with_context(|| format!("{} has no version", locked.name))?;
        // What comes before a release has its holes too, which a requirement by itself leaves out.
        let release = Version::new(version.major, version.minor, version.patch);
        let is_in = |versions: &VersionReq| versions.matches(&version) || (!version.pre.is_empty() && versions.matches(&release));
        let hits = bans.iter().filter(|ban| ban.name == locked.name && ban.versions.as_ref().is_none_or(is_in));
        found.extend(hits.map(|ban| format!("{} {} is banned: {}", locked.name, locked.version, ban.reason)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_version_is_found_and_its_neighbours_are_not() {
        let deny = "[bans]\ndeny = [{ crate = \"a@<1.2.0\", reason = \"a hole\" }, { crate = \"b\", reason = \"decided against\" }]";
        let bans = read(deny).expect("it is one");
        let found = |name: &str, version: &str| {
            let locked = Locked { name: name.into(), version: version.into(), checksum: None };
            super::found(&[locked], &bans).expect("versions")
        };
        assert_eq!(found("a", "1.1.9"), ["a 1.1.9 is banned: a hole"]);
        assert_eq!(found("a", "1.1.0-rc.1").len(), 1);
        assert_eq!(found("b", "7.0.0"), ["b 7.0.0 is banned: decided against"]);
        for (name, version) in [("a", "1.2.0"), ("a", "2.0.0"), ("c", "1.0.0")] {
            assert!(found(name, version).is_empty(), "{name} {version}");
        }
    }
}
