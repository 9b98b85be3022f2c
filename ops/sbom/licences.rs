//! The licences that `deny.toml` allows, and where packages may come from, looked at without cargo-deny: it is not on every
//! machine.

use std::collections::BTreeSet;

use anyhow::Context;
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::Metadata;

#[derive(Deserialize)]
struct Deny {
    licenses: Licences,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

/// The licences that a `deny.toml` allows.
///
/// # Errors
/// When it cannot be read, or names a licence that there is not.
pub fn allowed(text: &str) -> anyhow::Result<Vec<Licensee>> {
    let deny: Deny = toml::from_str(text).context("deny.toml cannot be read")?;
    let licensee = |name: String| Licensee::parse(&name).map_err(|error| anyhow::anyhow!("{name} is no licence: {error}"));
    deny.licenses.allow.into_iter().map(licensee).collect()
}

/// Whether one may use what is under this expression when these licences are allowed; a slash is how older packages write a
/// choice.
fn is_allowed(expression: &str, allowed: &[Licensee]) -> bool {
    Expression::parse_mode(expression, ParseMode::LAX)
        .is_ok_and(|expression| expression.evaluate(|required| allowed.iter().any(|licensee| licensee.satisfies(required))))
}

impl Metadata {
    /// The packages whose licence is not allowed, or that name none, a sentence each.
    pub fn unlicensed(&self, allowed: &[Licensee]) -> Vec<String> {
        let is_wrong = |licence: Option<&String>| !licence.is_some_and(|licence| is_allowed(licence, allowed));
        let foreign = self.packages.iter().filter(|package| package.source.is_some() && is_wrong(package.license.as_ref()));
        foreign.map(|package| format!("{} {} is under {:?}", package.name, package.version, package.license)).collect()
    }

    /// Where packages that are not ours are from.
    pub fn sources(&self) -> BTreeSet<&str> {
        self.packages.iter().filter_map(|package| package.source.as_deref()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_allowed_if_all_that_it_asks_for_is() {
        let allowed = allowed("[licenses]\nallow = [\"MIT\", \"Apache-2.0 WITH LLVM-exception\"]").expect("it is one");
        for expression in ["MIT", "GPL-3.0-only OR MIT", "Unlicense/MIT", "Apache-2.0 WITH LLVM-exception AND MIT"] {
            assert!(is_allowed(expression, &allowed), "{expression}");
        }
        for expression in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "Apache-2.0", "whatever", ""] {
            assert!(!is_allowed(expression, &allowed), "{expression}");
        }
        assert!(super::allowed("[licenses]\nallow = [\"none\"]").is_err());
    }
}
