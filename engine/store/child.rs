//! Children of workflows: open ones, and how the others ended.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};

use super::sql;
use crate::{Ending, JobId, failpoint::around};

/// How many children ended in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, sqlx::FromRow)]
pub struct Endings {
    /// They completed.
    pub completed: i64,
    /// They were cancelled.
    pub cancelled: i64,
    /// They failed for good.
    pub dead: i64,
}

impl Endings {
    /// How many there are.
    pub const fn total(&self) -> i64 {
        self.completed + self.cancelled + self.dead
    }
}

/// Takes note that these jobs are children of a workflow, made by its step at this position; marked ones stay when it is
/// cancelled or dies.
///
/// # Errors
/// The database's.
pub async fn add(connection: &mut PgConnection, parent: JobId, position: i32, jobs: &[JobId], stays: &[bool]) -> Result<(), sqlx::Error> {
    let statement = sqlx::query(sql!("child/add")).bind(parent).bind(position).bind(jobs).bind(stays);
    around("child/add", statement.execute(connection)).await.map(drop)
}

/// Whether some children that these steps made have not ended.
///
/// # Errors
/// The database's.
pub async fn any_open(connection: &mut PgConnection, parent: JobId, positions: &[i32]) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql!("child/open")).bind(parent).bind(positions).fetch_one(connection).await
}

/// How the children that a step made have ended, in the order in which they were made.
///
/// # Errors
/// The database's.
pub async fn endings(connection: &mut PgConnection, parent: JobId, position: i32) -> Result<Vec<(JobId, Ending)>, sqlx::Error> {
    let statement = sqlx::query_as(sql!("child/endings")).bind(parent).bind(position);
    let rows: Vec<Row> = around("child/endings", statement.fetch_all(connection)).await?;
    Ok(rows.into_iter().map(ended).collect())
}

/// The child that ended first of those that some steps made, if one has.
///
/// # Errors
/// The database's.
pub async fn first(connection: &mut PgConnection, parent: JobId, positions: &[i32]) -> Result<Option<(JobId, Ending)>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(sql!("child/first")).bind(parent).bind(positions).fetch_optional(connection).await?;
    Ok(row.map(ended))
}

type Row = (JobId, String, Option<Json<Value>>, Option<String>, Option<String>);

fn ended((id, outcome, output, category, error): Row) -> (JobId, Ending) {
    match outcome.as_str() {
        "completed" => (id, Ending::Completed(output.map_or(Value::Null, |output| output.0))),
        "cancelled" => (id, Ending::Cancelled(error)),
        _ => (id, Ending::Dead { category, error }),
    }
}

/// How many of the children that a step made ended in which way.
///
/// # Errors
/// The database's.
pub async fn counts(connection: &mut PgConnection, parent: JobId, position: i32) -> Result<Endings, sqlx::Error> {
    sqlx::query_as(sql!("child/counts")).bind(parent).bind(position).fetch_one(connection).await
}

/// Forgets ends of children and compensations of workflows that are gone, at most `limit` of each; returns how many.
///
/// # Errors
/// The database's.
pub async fn prune(connection: &mut PgConnection, limit: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql!("child/prune")).bind(limit).fetch_one(connection).await
}
