//! Leadership: who does a duty that only one may do, until when, in which term.

use sqlx::{PgConnection, PgExecutor};

use super::sql;
use crate::failpoint::around;

/// One holder's claim to a duty, as it was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// What is done.
    pub duty: String,
    /// Who does it: a number that no other process has.
    pub holder: i64,
    /// Which term: grows whenever the holder changes.
    pub term: i64,
}

/// Takes a duty that is free, or keeps one that `holder` has, for `lease_ms`. `None`: somebody else leads.
///
/// # Errors
/// The database's.
pub async fn lead(executor: impl PgExecutor<'_>, duty: &str, holder: i64, lease_ms: i64) -> Result<Option<Lead>, sqlx::Error> {
    let leading = sqlx::query_scalar(sql!("leader/lead")).bind(duty).bind(holder).bind(lease_ms).fetch_optional(executor);
    let term: Option<i64> = around("leader/lead", leading).await?;
    Ok(term.map(|term| Lead { duty: duty.to_string(), holder, term }))
}

/// Whether a duty may be taken, for `lease_ms`. Asking costs less than trying, which writes.
///
/// # Errors
/// The database's.
pub async fn is_free(executor: impl PgExecutor<'_>, duty: &str, lease_ms: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql!("leader/is_free")).bind(duty).bind(lease_ms).fetch_one(executor).await
}

/// Proves, inside the transaction of an act, that the holder still leads in this term. Nobody can take over before the
/// transaction ends.
///
/// # Errors
/// The database's.
pub async fn still_leads(connection: &mut PgConnection, lead: &Lead) -> Result<bool, sqlx::Error> {
    let proof = sqlx::query(sql!("leader/assert")).bind(&lead.duty).bind(lead.holder).bind(lead.term).fetch_optional(connection);
    let row = around("leader/assert", proof).await?;
    Ok(row.is_some())
}

/// Gives a duty up.
///
/// # Errors
/// The database's.
pub async fn resign(executor: impl PgExecutor<'_>, duty: &str, holder: i64) -> Result<(), sqlx::Error> {
    sqlx::query(sql!("leader/resign")).bind(duty).bind(holder).execute(executor).await.map(drop)
}
