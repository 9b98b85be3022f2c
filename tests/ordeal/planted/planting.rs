//! Puts a bug into this process and into the schema.

use anyhow::Context;
use engine::planted::Edit;
use sqlx::{AssertSqlSafe, Executor, PgPool};

use super::{Bug, Plant, bugs};

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
