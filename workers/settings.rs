//! Reading settings by name, and saying everything that is wrong with them at once.

use std::{fmt::Display, str::FromStr};

/// Everything that is wrong with the settings, one sentence each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.join("; "))]
pub struct ConfigError {
    /// The sentences, in the order of the settings.
    pub problems: Vec<String>,
}

/// Reads settings and gathers what is wrong.
pub(crate) struct Reader<L> {
    lookup: L,
    problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    pub(crate) const fn new(lookup: L) -> Self {
        Self { lookup, problems: Vec::new() }
    }

    /// The value of a setting; an empty one counts as absent.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// The value of a setting that parses; `expected` completes the sentence about one that does not.
    pub(crate) fn parsed<T: FromStr>(&mut self, name: &str, expected: impl Display) -> Option<T> {
        let text = self.text(name)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.problems.push(format!("{name} is {text:?}; expected {expected}"));
        }
        parsed
    }

    pub(crate) fn problem(&mut self, problem: impl Display) {
        self.problems.push(problem.to_string());
    }

    pub(crate) fn finish<T>(self, config: T) -> Result<T, ConfigError> {
        if self.problems.is_empty() { Ok(config) } else { Err(ConfigError { problems: self.problems }) }
    }
}
