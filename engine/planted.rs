//! Planted bugs: mistakes that a test puts into this process to learn whether the ordeal would find them.
//!
//! They exist only with the feature `planted`, which no product build has, and each only when it is asked for at the
//! start of a process. Most are an edit of one statement's text; the rest are branches marked `planted!`.

#[cfg(feature = "planted")]
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, OnceLock},
};

/// An edit of the text of one statement.
#[cfg(feature = "planted")]
#[derive(Debug, Clone, Copy)]
pub struct Edit {
    /// The statement's file, without folder and ending: `claim/assert`.
    pub statement: &'static str,
    /// What is taken out.
    pub from: &'static str,
    /// What comes in its place.
    pub to: &'static str,
}

#[cfg(feature = "planted")]
static PLANTED: OnceLock<(Vec<Edit>, HashSet<&'static str>)> = OnceLock::new();

/// Plants edits of statements and the named branches, once a process and before its first statement.
#[cfg(feature = "planted")]
pub fn plant(edits: Vec<Edit>, branches: impl IntoIterator<Item = &'static str>) -> bool {
    PLANTED.set((edits, branches.into_iter().collect())).is_ok()
}

/// Whether a branch is planted in this process.
#[cfg(feature = "planted")]
pub fn is(branch: &str) -> bool {
    PLANTED.get().is_some_and(|(_, branches)| branches.contains(branch))
}

/// The text of a statement with what is planted in it.
///
/// # Panics
/// When an edit does not fit the statement any more: the catalogue of planted bugs must follow the engine.
#[cfg(feature = "planted")]
pub(crate) fn statement(path: &'static str, text: &'static str) -> &'static str {
    static EDITED: Mutex<Option<HashMap<&'static str, &'static str>>> = Mutex::new(None);
    let Some((edits, _)) = PLANTED.get().filter(|(edits, _)| edits.iter().any(|edit| edit.statement == path)) else { return text };
    let mut edited = EDITED.lock().expect("no holder of this lock panics");
    let edited = edited.get_or_insert_default();
    edited.entry(path).or_insert_with(|| {
        let mut changed = text.to_string();
        for edit in edits.iter().filter(|edit| edit.statement == path) {
            assert!(changed.contains(edit.from), "{path} does not hold {:?}", edit.from);
            changed = changed.replace(edit.from, edit.to);
        }
        changed.leak()
    })
}

/// Whether a branch is planted; false in every build without the feature.
#[cfg(feature = "planted")]
macro_rules! planted {
    ($branch:literal) => {
        crate::planted::is($branch)
    };
}
#[cfg(not(feature = "planted"))]
macro_rules! planted {
    ($branch:literal) => {
        false
    };
}
pub(crate) use planted;
