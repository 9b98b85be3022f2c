//! Planted bugs: what the engine would be with one mistake in it. The ordeal is as good as the share of them that it finds.
//!
//! Each is an edit of one statement or one function, or a branch of the engine marked `planted!`; each is a mistake that a
//! trusted engine has made (the entries B01 to B58 of the catalogue of real bugs), or the lack of one rule of this engine.

mod branches;
mod claims;
mod clocks;
#[cfg(feature = "planted")]
pub mod detect;
mod endings;
mod operators;
#[cfg(feature = "planted")]
mod planting;
mod provocation;
mod rescues;
#[cfg(feature = "planted")]
pub mod trials;

#[cfg(feature = "planted")]
pub use planting::{plant, plant_schema};
pub use provocation::Provocation;

use crate::program::checksum;

/// A planted bug.
#[derive(Debug, Clone, Copy)]
pub struct Bug {
    /// Its number.
    pub id: &'static str,
    /// The real bug that it stands for.
    pub like: &'static str,
    /// What strikes while it is looked for.
    pub provoked_by: Provocation,
    /// What is wrong.
    pub what: &'static str,
    /// Where it is planted.
    pub plants: &'static [Plant],
}

/// One change.
#[derive(Debug, Clone, Copy)]
pub enum Plant {
    /// In a statement: its file, what is taken out, what comes in its place.
    Statement(&'static str, &'static str, &'static str),
    /// In a function of the schema: its name, what is taken out, what comes in its place.
    Function(&'static str, &'static str, &'static str),
    /// A branch of the engine's code.
    Branch(&'static str),
}

impl Bug {
    /// What the bug is, in a few characters: of one that is planted or provoked otherwise it is another.
    pub fn fingerprint(&self) -> String {
        format!("{:08x}", checksum(&serde_json::Value::String(format!("{:?} {:?}", self.plants, self.provoked_by))))
    }
}

/// Every bug.
pub fn bugs() -> Vec<Bug> {
    [claims::BUGS, endings::BUGS, rescues::BUGS, operators::BUGS, clocks::BUGS, branches::BUGS].concat()
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_bug_fits_the_engine_as_it_is() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let branches = sources(&root.join("engine")) + &sources(&root.join("web"));
        let (mut ids, mut real) = (HashSet::new(), HashSet::new());
        for bug in bugs() {
            assert!(ids.insert(bug.id), "{} stands for two bugs", bug.id);
            real.insert(bug.like);
            for place in bug.provoked_by.places() {
                place.parse::<crate::process::place::Target>().unwrap_or_else(|wrong| panic!("{}: {wrong}", bug.id));
            }
            for plant in bug.plants {
                let (file, from) = match *plant {
                    Plant::Statement(statement, from, _) => (root.join("engine/sql").join(statement).with_extension("sql"), from),
                    Plant::Function(_, from, _) => (root.join("migrations/schema.sql"), from),
                    Plant::Branch(name) => {
                        assert!(branches.contains(&format!("(\"{name}\")")), "{}: nothing is marked {name:?}", bug.id);
                        continue;
                    }
                };
                let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {}: {error}", bug.id, file.display()));
                assert!(text.contains(from), "{}: {} does not hold {from:?}", bug.id, file.display());
            }
        }
        assert!(real.len() >= 40, "they stand for {} real bugs", real.len());
    }
    /// The text of every source file in a folder.
    fn sources(folder: &Path) -> String {
        let entries = fs::read_dir(folder).expect("the folder can be read").map(|entry| entry.expect("and its entries").path());
        entries
            .map(|path| match path.extension() {
                _ if path.is_dir() => sources(&path),
                Some(extension) if extension == "rs" => fs::read_to_string(&path).expect("sources are text"),
                _ => String::new(),
            })
            .collect()
    }
}
