//! Limits: rows that say how many jobs run at once.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use super::{StoreError, sql};
use crate::Limit;

/// Takes note of what a program says of a limit; what operators have set stays.
///
/// # Errors
/// The database's.
pub async fn declare(connection: &mut PgConnection, limit: &Limit) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("limit/declare"))
        .bind(limit.scope)
        .bind(limit.name)
        .bind(limit.cap)
        .bind(limit.in_order)
        .execute(connection)
        .await
        .map(drop)
}

/// A limit as it is in force.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct Setting {
    /// What it limits: `key`.
    pub scope: String,
    /// Its name; of keys perhaps the beginning, with a `*`.
    pub name: String,
    /// How many jobs run at once; `None` for the engine's own hundred.
    pub cap: Option<i32>,
    /// Whether a job keeps its slot until its retry.
    pub in_order: bool,
    /// Whether a program declares it.
    pub declared: bool,
    /// When it was changed last.
    pub changed_at: DateTime<Utc>,
    /// By whom.
    pub changed_by: String,
    /// How many slots are taken, of all keys that the name means.
    pub taken: i64,
}

/// What an operator sets; what is `None` stays as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change {
    /// How many jobs run at once, from 1 to 10,000.
    pub cap: Option<i32>,
    /// Whether a job keeps its slot until its retry.
    pub in_order: Option<bool>,
}

/// Every limit, by name.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool) -> Result<Vec<Setting>, StoreError> {
    Ok(sqlx::query_as(sql!("limit/list")).fetch_all(pool).await?)
}

/// Sets the limit of a key, or of all that begin with what stands before a final `*`; in force at once.
///
/// # Errors
/// [`StoreError::Refused`] for nonsense; otherwise the database's.
pub async fn set(pool: &PgPool, key: &str, change: Change, by: &str) -> Result<(), StoreError> {
    let setting = sqlx::query(sql!("limit/set")).bind("key").bind(key).bind(change.cap).bind(change.in_order).bind(by);
    setting.execute(pool).await.map(drop).map_err(StoreError::of_refusal)
}

/// Takes back what operators set: true when what a program declared is in force again, false when there is no limit of
/// that name any more, `None` when there was none.
///
/// # Errors
/// The database's.
pub async fn unset(pool: &PgPool, key: &str) -> Result<Option<bool>, StoreError> {
    Ok(sqlx::query_scalar(sql!("limit/unset")).bind("key").bind(key).fetch_optional(pool).await?)
}
