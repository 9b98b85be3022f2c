//! The retry policy: its rows, their history, and the failures that it decided.

use chrono::{DateTime, Utc};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{PgConnection, PgPool, types::Json};

use super::{look, sql, storable};
use crate::{Category, JobId};

/// One row of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Policy {
    /// The error category.
    pub category: String,
    /// The kind, for an override; `None` for the row of the whole category.
    pub kind: Option<String>,
    /// How often a job may fail before it is dead.
    pub max_attempts: i32,
    /// Seconds before each retry; the last delay repeats, and of each a random part is waited.
    pub backoff_seconds: Vec<i32>,
    /// At which failure a warning is given.
    pub alert_on_attempt: Option<i32>,
    /// At which failure it becomes critical.
    pub escalate_on_attempt: Option<i32>,
    /// What the category means.
    pub description: Option<String>,
    /// Counts the edits of this row; each attempt records the version that decided.
    pub version: i32,
}

/// One version of one row.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Version {
    /// Grows with time.
    #[serde(serialize_with = "as_text")]
    pub id: i64,
    /// The error category.
    pub category: String,
    /// The kind, for an override.
    pub kind: Option<String>,
    /// The version.
    pub version: i32,
    /// `found`, `made`, `edited` or `removed`.
    pub what: String,
    /// The row as it was from then on; of a removed one, as it was before.
    pub row: Json<Box<RawValue>>,
    /// Since when.
    pub changed_at: DateTime<Utc>,
    /// By whom.
    pub changed_by: String,
}

/// One failure of a job, with what is known of its end.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Failed {
    /// The job.
    pub job_id: JobId,
    /// Its kind.
    pub kind: String,
    /// The error category.
    pub category: String,
    /// Whether the job died of it.
    pub died: bool,
    /// When.
    pub finished_at: DateTime<Utc>,
    /// The job's own cap on attempts.
    pub cap: Option<i16>,
    /// How many seconds were left until the job's deadline.
    pub left_s: Option<f64>,
    /// How many failures the job had by then.
    pub used: i64,
    /// Whether it is one of those that were asked for.
    pub concerned: bool,
    /// Whether an override for its kind and category stands in front of the category's row today.
    pub overridden: bool,
    /// How the job ended, if it has.
    pub ended: Option<String>,
}

/// Rows of the policy: the categories', then the overrides; of one category or kind where they are given.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool, category: Option<&str>, kind: Option<&str>) -> Result<Vec<Policy>, sqlx::Error> {
    sqlx::query_as(sql!("retry_policy/list")).bind(category).bind(kind).fetch_all(pool).await
}

/// The error categories that failures have, and those that rows of the policy name, in the order of their names.
///
/// # Errors
/// The database's.
pub async fn categories(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    let mut names: Vec<String> = Category::ALL.iter().map(ToString::to_string).collect();
    names.extend(list(pool, None, None).await?.into_iter().map(|row| row.category));
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// The row that decides about a failure.
///
/// # Errors
/// The database's; there is always a row, `default` if no other.
pub async fn deciding(connection: &mut PgConnection, category: &str, kind: Option<&str>) -> Result<Policy, sqlx::Error> {
    sqlx::query_as(sql!("retry_policy/deciding")).bind(category).bind(kind).fetch_one(connection).await
}

/// What is wrong with a row, in words; `None` when the tables would take it.
///
/// # Errors
/// The database's.
pub async fn fault(pool: &PgPool, policy: &Policy) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(sql!("retry_policy/fault"))
        .bind(policy.max_attempts)
        .bind(&policy.backoff_seconds)
        .bind(policy.alert_on_attempt)
        .bind(policy.escalate_on_attempt)
        .fetch_one(pool)
        .await
}

/// Keeps other edits of the policy out until the transaction ends: it has to be taken before what is edited is read.
///
/// # Errors
/// The database's.
pub async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("retry_policy/lock")).execute(connection).await.map(drop)
}

/// Says who acts, for the history of the policy.
///
/// # Errors
/// The database's.
pub async fn act_as(connection: &mut PgConnection, actor: &str) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("retry_policy/act_as")).bind(storable(actor, 200)).execute(connection).await.map(drop)
}

/// Writes a row: of a kind, or of the whole category.
///
/// # Errors
/// The database's; SQLSTATE 23514 with a sentence when the row is nonsense.
pub async fn put(connection: &mut PgConnection, policy: &Policy) -> Result<(), sqlx::Error> {
    let statement = if policy.kind.is_some() { sql!("retry_policy/put_override") } else { sql!("retry_policy/put") };
    let query = sqlx::query(statement)
        .bind(&policy.category)
        .bind(policy.max_attempts)
        .bind(&policy.backoff_seconds)
        .bind(policy.alert_on_attempt)
        .bind(policy.escalate_on_attempt);
    let query = if let Some(kind) = &policy.kind { query.bind(kind) } else { query };
    query.execute(connection).await.map(drop)
}

/// Takes an override away; false when there is none.
///
/// # Errors
/// The database's.
pub async fn remove_override(connection: &mut PgConnection, category: &str, kind: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(sql!("retry_policy/remove_override")).bind(category).bind(kind).execute(connection).await?;
    Ok(done.rows_affected() > 0)
}

/// Versions, newest first; of one category or kind where they are given.
///
/// # Errors
/// The database's.
pub async fn history(pool: &PgPool, category: Option<&str>, kind: Option<&str>, limit: i64) -> Result<Vec<Version>, sqlx::Error> {
    sqlx::query_as(sql!("retry_policy/history")).bind(category).bind(kind).bind(limit).fetch_all(pool).await
}

/// Hands every failure of the jobs that failed with this category, of this kind, in the last days, to `take`: job by job,
/// in order.
///
/// # Errors
/// The database's.
pub async fn failures(
    pool: &PgPool,
    category: &str,
    kind: Option<&str>,
    days: f64,
    mut take: impl FnMut(Failed),
) -> Result<(), sqlx::Error> {
    let mut tx = look::begin(pool).await?;
    let mut rows = sqlx::query_as(sql!("retry_policy/failures")).bind(category).bind(kind).bind(days).fetch(&mut *tx);
    while let Some(row) = next(&mut rows).await? {
        take(row);
    }
    Ok(())
}

async fn next<T>(rows: &mut (impl Stream<Item = Result<T, sqlx::Error>> + Unpin)) -> Result<Option<T>, sqlx::Error> {
    rows.next().await.transpose()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn as_text<S: serde::Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
