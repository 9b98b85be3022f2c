//! Jobs that wait for a slot of their limit key, and their admission.

use sqlx::{Connection, PgConnection};

use super::sql;
use crate::{failpoint::around, sqlstate};

/// What came to wait since a position.
#[derive(Debug, Clone, Default, sqlx::FromRow)]
pub struct Arrivals {
    /// Their keys.
    pub keys: Vec<String>,
    /// How many jobs were looked at.
    pub seen: i64,
    /// The highest position among them.
    pub reached: Option<i64>,
    /// The last position that was given out to anybody.
    pub last_position: i64,
}

/// Looks at up to `limit` jobs that wait at positions above `floor`.
///
/// # Errors
/// The database's.
pub async fn arrivals(connection: &mut PgConnection, floor: i64, limit: i64) -> Result<Arrivals, sqlx::Error> {
    sqlx::query_as(sql!("waiting/arrivals")).bind(floor).bind(limit).fetch_one(connection).await
}

/// The `limit` keys before `before` for which jobs wait, or the last ones, backwards.
///
/// # Errors
/// The database's.
pub async fn keys(connection: &mut PgConnection, before: Option<&str>, limit: i32) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(sql!("waiting/keys")).bind(before).bind(limit).fetch_all(connection).await
}

/// How many jobs of keys that are held are taken back at once.
const TAKEN_BACK: i32 = 2000;

/// Has jobs wait again that were let in and have not begun, where their key is held; returns how many. Does nothing while
/// somebody else does it.
///
/// # Errors
/// The database's.
pub async fn take_back_held(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let mut taken_back = 0;
    loop {
        let taking = sqlx::query_scalar(sql!("waiting/take_back_held")).bind(TAKEN_BACK).fetch_one(&mut *connection);
        let some: i32 = around("waiting/take_back_held", taking).await?;
        taken_back += some;
        if some < TAKEN_BACK {
            return Ok(taken_back);
        }
    }
}

/// Gives back up to `most` slots that jobs kept for a retry or a wait, of keys that keep no order any more; returns how many.
///
/// # Errors
/// The database's.
pub async fn give_back_kept(connection: &mut PgConnection, most: i32) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar(sql!("waiting/give_back_kept")).bind(most).fetch_one(connection).await
}

/// How many jobs of few keys are let in at once. Each has a slot and takes others along on it: better few with long runs
/// than all that may stand in `ready`.
const ADMITTED: i64 = 2000;

/// The most jobs of these keys that one call of [`admit`] lets in: more than one a key.
pub fn most(keys: &[String]) -> i64 {
    ADMITTED.max(keys.len() as i64 + 1)
}

/// Lets jobs of these keys into `ready` while their keys have free slots; returns how many. `None`: somebody else admits
/// at this moment. A key that cannot be admitted is logged and keeps no other back.
///
/// # Errors
/// The connection's.
pub async fn admit(connection: &mut PgConnection, keys: &[String]) -> Result<Option<i64>, sqlx::Error> {
    match admit_together(connection, keys).await {
        Err(error) if sqlstate::is_of_value(&error) => {
            tracing::error!(%error, "an admission failed as a whole, going key by key");
            admit_one_by_one(connection, keys).await
        }
        together => together,
    }
}

async fn admit_one_by_one(connection: &mut PgConnection, keys: &[String]) -> Result<Option<i64>, sqlx::Error> {
    let mut admitted = 0;
    for key in keys {
        match admit_together(connection, std::slice::from_ref(key)).await {
            Ok(Some(one)) => admitted += one,
            Ok(None) => return Ok(None),
            Err(error) if sqlstate::is_of_value(&error) => tracing::error!(limit.key = key, %error, "a key's jobs cannot be admitted"),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(admitted))
}

async fn admit_together(connection: &mut PgConnection, keys: &[String]) -> Result<Option<i64>, sqlx::Error> {
    let mut tx = connection.begin().await?;
    let alone: bool = sqlx::query_scalar(sql!("waiting/lock")).fetch_one(&mut *tx).await?;
    if !alone {
        return Ok(None);
    }
    let admitting = sqlx::query_as(sql!("waiting/admit")).bind(keys).bind(most(keys)).fetch_one(&mut *tx);
    let (admitted, _woken): (i64, i64) = around("waiting/admit", admitting).await?;
    around("waiting/admit commit", tx.commit()).await?;
    Ok(Some(admitted))
}
