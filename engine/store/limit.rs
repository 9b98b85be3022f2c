//! Limits: rows that say how many jobs run at once.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Connection, PgConnection, PgPool};

use super::{StoreError, pause::Scope, sql};
use crate::{JobId, Limit, Rate};

/// So many slots that were kept for an order are given back at once by whoever sets the limit; a duty of the house has the rest.
const KEPT_AT_MOST: i32 = 10_000;

/// Takes note of what a program says of a limit; what operators have set stays.
///
/// # Errors
/// The database's.
pub async fn declare(connection: &mut PgConnection, limit: &Limit) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin().await?;
    sqlx::query(sql!("limit/lock_counts")).execute(&mut *tx).await?;
    let changed: Option<i32> = sqlx::query_scalar(sql!("limit/declare"))
        .bind(limit.scope)
        .bind(limit.name)
        .bind(limit.cap)
        .bind(limit.in_order)
        .bind(limit.rate.map(|rate| rate.jobs))
        .bind(limit.rate.map(|rate| rate.per_ms))
        .bind(limit.rate.map(|rate| rate.burst))
        .bind(limit.weight)
        .fetch_optional(&mut *tx)
        .await?;
    if let Some(setting) = changed {
        count_permits(&mut tx, Some(setting)).await?;
    }
    tx.commit().await
}

/// A limit as it is in force.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct Setting {
    /// What it limits: `queue`, `kind` or `key`.
    pub scope: String,
    /// Its name; of keys perhaps the beginning, with a `*`.
    pub name: String,
    /// How many jobs run at once; `None` for any number, of a key for the engine's own hundred.
    pub cap: Option<i32>,
    /// Whether a job keeps its slot until its retry.
    pub in_order: bool,
    /// How many are let go in any span of `per_ms`; `None` for any number.
    pub rate: Option<i32>,
    /// The time that the rate is of, in milliseconds.
    pub per_ms: Option<i64>,
    /// How many are let go at once.
    pub burst: Option<i32>,
    /// How much of any rate a job of this kind takes.
    pub weight: i32,
    /// Whether a program declares it.
    pub declared: bool,
    /// When it was changed last.
    pub changed_at: DateTime<Utc>,
    /// By whom.
    pub changed_by: String,
    /// How many of its jobs run; of keys, how many slots are taken of all that the name means.
    pub taken: i64,
}

/// What an operator sets; what is `None` stays as it is, and `Some(None)` takes it away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change {
    /// How many jobs run at once, from 1 to 10,000; `Some(None)`: any number, of a key the engine's own hundred.
    pub cap: Option<Option<i32>>,
    /// Whether a job keeps its slot until its retry.
    pub in_order: Option<bool>,
    /// How many are let go in any span of a time; `Some(None)`: any number.
    pub rate: Option<Option<Rate>>,
    /// How much of any rate a job of this kind takes, from 1 to 1,000.
    pub weight: Option<i32>,
}

impl Change {
    const fn takes_away(&self) -> bool {
        matches!(self.cap, Some(None)) || matches!(self.rate, Some(None))
    }
}

/// Every limit, by name.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool) -> Result<Vec<Setting>, StoreError> {
    Ok(sqlx::query_as(sql!("limit/list")).fetch_all(pool).await?)
}

/// Sets the limit of a queue, a kind or a key, or of all keys that begin with what stands before a final `*`; in force at
/// once, and what runs already counts.
///
/// ```no_run
/// use std::time::Duration;
/// use engine::{Rate, store::{limit::{self, Change}, pause::Scope}};
///
/// # async fn example(pool: sqlx::PgPool) -> Result<(), engine::StoreError> {
/// // Of each shop one job at a time, and ten in any minute.
/// let rate = Rate::new(10, Duration::from_mins(1));
/// let change = Change { cap: Some(Some(1)), rate: Some(Some(rate)), ..Change::default() };
/// limit::set(&pool, Scope::Key, "shop:*", change, "ann").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`StoreError::Refused`] for nonsense, and when so much is taken away that no limit is left; otherwise the database's.
pub async fn set(pool: &PgPool, scope: Scope, name: &str, change: Change, by: &str) -> Result<(), StoreError> {
    let mut tx = pool.begin().await?;
    sqlx::query(sql!("limit/lock_counts")).execute(&mut *tx).await?;
    let rate = change.rate.flatten();
    let (setting, is_empty, is_declared): (i32, bool, bool) = sqlx::query_as(sql!("limit/set"))
        .bind(scope.as_str())
        .bind(name)
        .bind(change.cap.flatten())
        .bind(change.in_order)
        .bind(rate.map(|rate| rate.jobs))
        .bind(rate.map(|rate| rate.per_ms))
        .bind(rate.map(|rate| rate.burst))
        .bind(change.weight)
        .bind(by)
        .bind(change.cap == Some(None))
        .bind(change.rate == Some(None))
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::of_refusal)?;
    if is_empty && change.takes_away() {
        return Err(nothing_left(scope, name, is_declared));
    }
    count_permits(&mut tx, Some(setting)).await?;
    tx.commit().await?;
    Ok(give_back_kept(pool, scope).await?)
}

fn nothing_left(scope: Scope, name: &str, is_declared: bool) -> StoreError {
    let way_out = if is_declared { "puts what the program declares in force again" } else { "takes it away" };
    let what = format!("{} {name}", scope.as_str());
    StoreError::Refused(format!("nothing would be left of the limit of {what}: `rawops limits unset` {way_out}"))
}

/// What a key kept for its order goes on when it keeps none any more.
async fn give_back_kept(pool: &PgPool, scope: Scope) -> Result<(), sqlx::Error> {
    if scope == Scope::Key {
        super::waiting::give_back_kept(&mut *pool.acquire().await?, KEPT_AT_MOST).await?;
    }
    Ok(())
}

/// Takes back what operators set: true when what a program declared is in force again, false when there is no limit of
/// that name any more, `None` when there was none.
///
/// # Errors
/// The database's.
pub async fn unset(pool: &PgPool, scope: Scope, name: &str) -> Result<Option<bool>, StoreError> {
    let mut tx = pool.begin().await?;
    sqlx::query(sql!("limit/lock_counts")).execute(&mut *tx).await?;
    sqlx::query(sql!("limit/lock_one")).bind(scope.as_str()).bind(name).execute(&mut *tx).await?;
    let unset: Option<(bool, i32)> = sqlx::query_as(sql!("limit/unset")).bind(scope.as_str()).bind(name).fetch_optional(&mut *tx).await?;
    if let Some((true, setting)) = unset {
        count_permits(&mut tx, Some(setting)).await?;
    }
    tx.commit().await?;
    give_back_kept(pool, scope).await?;
    Ok(unset.map(|(declared, _)| declared))
}

/// Counts what runs under limits of queues and kinds, or under one, of claims that began before the limit was changed. Returns how
/// many counts were wrong.
///
/// # Errors
/// The database's.
pub async fn count_permits(connection: &mut PgConnection, setting: Option<i32>) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar(sql!("limit/count_permits")).bind(setting).fetch_one(connection).await
}

/// Counts the run of a job against the rate of its key, if that has one. `None`: it may run; otherwise it has to wait so many
/// milliseconds, and nothing was counted.
///
/// # Errors
/// The database's.
pub(crate) async fn charge(pool: &PgPool, job: JobId) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(sql!("limit/charge")).bind(job).fetch_one(pool).await
}

/// What admission has to know of the limits of keys.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Paced {
    /// Whether any key has a rate.
    pub any: bool,
    /// Keys with one for which jobs wait.
    pub keys: Vec<String>,
    /// Another one after each change of a limit or a pause of keys, and when a pause begins or ends.
    pub edition: String,
}

/// What admission has to know of the limits of keys, with up to `limit` keys that have a rate.
///
/// # Errors
/// The database's.
pub(crate) async fn paced(connection: &mut PgConnection, limit: i64) -> Result<Paced, sqlx::Error> {
    sqlx::query_as(sql!("limit/paced")).bind(limit).fetch_one(connection).await
}

/// Forgets the rates of up to `limit` keys that owe nothing since a day.
///
/// # Errors
/// The database's.
pub(crate) async fn prune(connection: &mut PgConnection, limit: i64) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(sql!("limit/prune")).bind(limit).execute(connection).await?.rows_affected())
}
