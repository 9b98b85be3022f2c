//! Planted bugs: what the engine would be with one mistake in it. The ordeal is as good as the share of them that it finds.
//!
//! Each is an edit of one statement or one function, or a branch of the engine marked `planted!`; each is a mistake that a
//! trusted engine has made (the entries B01 to B58 of the catalogue of real bugs), or the lack of one rule of this engine.

mod branches;
mod claims;
mod clocks;
pub mod detect;
mod endings;
mod operators;
mod provocation;
mod rescues;
pub mod trials;

use anyhow::Context;
use engine::planted::Edit;
pub use provocation::Provocation;
use sqlx::{AssertSqlSafe, Executor, PgPool};

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

fn bug(id: Option<&str>) -> anyhow::Result<Option<Bug>> {
    let Some(id) = id else { return Ok(None) };
    bugs().into_iter().find(|bug| bug.id == id).map(Some).with_context(|| format!("there is no planted bug {id}"))
}

/// Plants a bug in this process.
///
/// # Errors
/// When there is none of this number.
pub fn plant(id: Option<&str>) -> anyhow::Result<()> {
    let Some(bug) = bug(id)? else { return Ok(()) };
    let edits = bug.plants.iter().filter_map(|plant| match *plant {
        Plant::Statement(statement, from, to) => Some(Edit { statement, from, to }),
        _ => None,
    });
    let branches = bug.plants.iter().filter_map(|plant| match *plant {
        Plant::Branch(branch) => Some(branch),
        _ => None,
    });
    anyhow::ensure!(engine::planted::plant(edits.collect(), branches), "another bug was planted before");
    Ok(())
}

/// Plants the parts of a bug that are in the schema.
///
/// # Errors
/// The database's, or when the bug does not fit the schema any more.
pub async fn plant_schema(pool: &PgPool, id: Option<&str>) -> anyhow::Result<()> {
    for plant in bug(id)?.map_or(&[][..], |bug| bug.plants) {
        let Plant::Function(name, from, to) = *plant else { continue };
        let text: String = sqlx::query_scalar("select pg_get_functiondef($1::regproc)").bind(name).fetch_one(pool).await?;
        anyhow::ensure!(text.contains(from), "the function {name} does not hold {from:?}");
        pool.execute(AssertSqlSafe(text.replace(from, to))).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_bug_fits_the_engine_as_it_is() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut ids = HashSet::new();
        for bug in bugs() {
            assert!(ids.insert(bug.id), "{} stands for two bugs", bug.id);
            for place in bug.provoked_by.places() {
                place.parse::<crate::process::place::Target>().unwrap_or_else(|wrong| panic!("{}: {wrong}", bug.id));
            }
            for plant in bug.plants {
                if let Plant::Statement(statement, from, _) = plant {
                    let text = fs::read_to_string(root.join("engine/sql").join(statement).with_extension("sql"));
                    let text = text.unwrap_or_else(|error| panic!("{}: {statement}: {error}", bug.id));
                    assert!(text.contains(from), "{}: {statement} does not hold {from:?}", bug.id);
                }
            }
        }
        assert!(ids.len() >= 40, "there are {} bugs", ids.len());
    }
}
