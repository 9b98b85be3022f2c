//! Cancelling: ask first, then look for the job's place.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use super::{StoreError, brief, sql};
use crate::{JobId, failpoint::around, sqlstate};

/// For its place, which somebody may hold.
const PATIENCE: Duration = Duration::from_secs(1);

/// What came of asking a job to stop.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "answer", content = "state")]
pub enum Cancelled {
    /// It had not started and will not.
    Cancelled,
    /// It runs, and its worker stops it at the next renewal of its lease; or an open transaction holds its place, and it is cancelled
    /// when that has ended.
    Requested,
    /// It had ended already, in this state.
    Already(String),
}

/// Asks job `id` to stop.
///
/// ```no_run
/// use engine::{JobId, store::cancel_request::{Cancelled, cancel}};
///
/// # async fn example(pool: sqlx::PgPool, id: JobId) -> Result<(), engine::StoreError> {
/// match cancel(&pool, id, "ann", Some("it was ordered twice")).await? {
///     Cancelled::Cancelled => println!("it has not run, and will not"),
///     Cancelled::Requested => println!("its worker stops it"),
///     Cancelled::Already(state) => println!("it is {state}"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`StoreError::NoSuchJob`]; otherwise the database's.
pub async fn cancel(pool: &PgPool, id: JobId, by: &str, reason: Option<&str>) -> Result<Cancelled, StoreError> {
    let asking = sqlx::query_scalar(sql!("cancel_request/ask")).bind(id).bind(by).bind(reason).fetch_one(pool);
    let asked: bool = around("cancel_request/ask", asking).await?;
    let reason = reason.map_or_else(|| format!("cancelled by {by}"), |reason| format!("cancelled by {by}: {reason}"));
    for _ in 0..50 {
        let standing = match remove(pool, id, &reason).await {
            // A transaction that goes on holds its place, as that of somebody who emits: a keeper looks at the request again.
            Err(error) if sqlstate::is_lock_timeout(&error) => return Ok(Cancelled::Requested),
            standing => standing?,
        };
        match standing.as_deref() {
            Some("cancelled") => return Ok(Cancelled::Cancelled),
            Some("running") => return Ok(Cancelled::Requested),
            Some(ended) => return Ok(Cancelled::Already(ended.trim_start_matches("already ").to_string())),
            None if !asked => return Err(StoreError::NoSuchJob(id)),
            // It moves between two places at this moment; whoever moves it next sees the request.
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    Ok(Cancelled::Requested)
}

/// Takes it out of its place and ends it; returns where it stands.
async fn remove(pool: &PgPool, id: JobId, words: &str) -> Result<Option<String>, sqlx::Error> {
    let mut tx = brief::begin(pool, PATIENCE).await?;
    let removing = sqlx::query_scalar(sql!("cancel_request/remove")).bind(id).bind(words).fetch_one(&mut *tx);
    let standing = around("cancel_request/remove", removing).await?;
    tx.commit().await?;
    Ok(standing)
}

/// Deals with up to `limit` requests that stand beside a job which does not run; returns how many.
///
/// A request that was made while the end of an attempt was being committed is seen by neither side.
///
/// # Errors
/// The database's.
pub async fn settle(connection: &mut PgConnection, limit: i32) -> Result<i32, sqlx::Error> {
    let settling = sqlx::query_scalar(sql!("cancel_request/settle")).bind(limit).fetch_one(connection);
    around("cancel_request/settle", settling).await
}
