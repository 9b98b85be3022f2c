//! Which row of the policy decided about a failure, from the history of the policy.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::store::retry_policy::Version;

/// What a replay needs of a row.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Row {
    pub max_attempts: i32,
    pub backoff_seconds: Vec<i32>,
}

/// Since when a row was so; `None`: since when it was absent.
type Since = (DateTime<Utc>, Option<Row>);

/// The versions of each category's row, and of each kind's and category's, in order of time.
#[derive(Debug, Default)]
pub(super) struct History {
    rows: HashMap<(String, Option<String>), Vec<Since>>,
}

impl History {
    /// Reads versions, newest first, as the store lists them. A row that was found when the history began counts as there
    /// since ever; one that does not parse counts as absent.
    pub fn new(versions: Vec<Version>) -> Self {
        let mut history = Self::default();
        for version in versions.into_iter().rev() {
            let since = if version.what == "found" { DateTime::UNIX_EPOCH } else { version.changed_at };
            let row = if version.what == "removed" { None } else { serde_json::from_str(version.row.0.get()).ok() };
            history.rows.entry((version.category, version.kind)).or_default().push((since, row));
        }
        history
    }

    /// The row that decided about a failure at a moment.
    pub fn decided(&self, category: &str, kind: &str, at: DateTime<Utc>) -> Option<&Row> {
        let rows = [(category, Some(kind)), (category, None), ("default", None)];
        rows.into_iter().find_map(|(category, kind)| self.row(category, kind, at))
    }

    fn row(&self, category: &str, kind: Option<&str>, at: DateTime<Utc>) -> Option<&Row> {
        let versions = self.rows.get(&(category.to_string(), kind.map(ToString::to_string)))?;
        versions.iter().rev().find(|(since, _)| *since <= at)?.1.as_ref()
    }
}
