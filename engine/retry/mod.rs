//! The retry policy as operators edit it: live data, checked, numbered, and tried out before it decides.
//!
//! A failure is decided by the override of its kind and category, else the row of its category, else the row `default`,
//! in the statement that records it: an edit decides the very next failure of every worker. The tables refuse nonsense
//! and keep each version; [`simulate`] replays what failed against a draft.
//!
//! ```no_run
//! use engine::retry::{self, Draft};
//!
//! # async fn example(pool: sqlx::PgPool) -> Result<(), retry::PolicyError> {
//! let draft = Draft { max_attempts: Some(4), backoff_seconds: Some(vec![5, 60, 600]), ..Draft::default() };
//! let week = retry::simulate(&pool, "upstream", Some("shop.send_receipt"), 7.0, &draft).await?;
//! if week.total.successes_lost == 0 {
//!     retry::set(&pool, "ann", "upstream", Some("shop.send_receipt"), &draft).await?;
//! }
//! # Ok(())
//! # }
//! ```

mod asked;
mod history;
mod replay;

pub use asked::ASKED_AT_MOST;
pub(crate) use asked::spread_ms;
pub use replay::{Effect, Report, simulate};

use sqlx::PgPool;

use crate::store::retry_policy::{self, Policy};

/// What is to be other than it is; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// How often a job may fail before it is dead.
    pub max_attempts: Option<i32>,
    /// Seconds before each retry.
    pub backoff_seconds: Option<Vec<i32>>,
    /// At which failure a warning is given; `Some(None)`: never.
    pub alert_on_attempt: Option<Option<i32>>,
    /// At which failure it becomes critical; `Some(None)`: never.
    pub escalate_on_attempt: Option<Option<i32>>,
}

/// Why the policy is not changed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The row is nonsense.
    #[error("{0}; nothing was changed")]
    Refused(String),
    /// There is no such row.
    #[error("there is no override of category {0} for kind {1}: `rawops retry list` shows them")]
    NoOverride(String, String),
    /// There is no such category.
    #[error("there is no error category {0}: there are {1}")]
    NoCategory(String, String),
    /// The database's.
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for PolicyError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(refused) if refused.code().as_deref() == Some("23514") => Self::Refused(refused.message().to_string()),
            _ => Self::Database(error),
        }
    }
}

impl Draft {
    /// The row of a category, or of a kind and category, that this draft makes of the one that decides today.
    pub(crate) fn over(&self, today: &Policy, category: &str, kind: Option<&str>) -> Policy {
        let max_attempts = self.max_attempts.unwrap_or(today.max_attempts);
        // A new override leaves the alerts to its category; an alert that nobody speaks of comes no later than the end.
        let own = today.kind.as_deref() == kind && today.category == category;
        let alert = |wanted: Option<Option<i32>>, today: Option<i32>| match wanted {
            Some(wanted) => wanted,
            None if kind.is_some() && !own => None,
            None => today.map(|today| today.min(max_attempts)),
        };
        Policy {
            category: category.to_string(),
            kind: kind.map(ToString::to_string),
            max_attempts,
            backoff_seconds: self.backoff_seconds.clone().unwrap_or_else(|| today.backoff_seconds.clone()),
            alert_on_attempt: alert(self.alert_on_attempt, today.alert_on_attempt),
            escalate_on_attempt: alert(self.escalate_on_attempt, today.escalate_on_attempt),
            description: None,
            version: 0,
        }
    }
}

/// Changes the row of a category, or of a kind and category; what the draft leaves out stays as it decides today.
///
/// # Errors
/// [`PolicyError::NoCategory`], [`PolicyError::Refused`]; otherwise the database's.
pub async fn set(pool: &PgPool, by: &str, category: &str, kind: Option<&str>, draft: &Draft) -> Result<Policy, PolicyError> {
    known(pool, category).await?;
    let mut tx = pool.begin().await?;
    retry_policy::lock(&mut tx).await?;
    retry_policy::act_as(&mut tx, by).await?;
    let today = retry_policy::deciding(&mut tx, category, kind).await?;
    retry_policy::put(&mut tx, &draft.over(&today, category, kind)).await?;
    let policy = retry_policy::deciding(&mut tx, category, kind).await?;
    tx.commit().await?;
    Ok(policy)
}

/// Takes an override away: the row of its category decides again.
///
/// # Errors
/// [`PolicyError::NoOverride`]; otherwise the database's.
pub async fn unset(pool: &PgPool, by: &str, category: &str, kind: &str) -> Result<Policy, PolicyError> {
    let mut tx = pool.begin().await?;
    retry_policy::lock(&mut tx).await?;
    retry_policy::act_as(&mut tx, by).await?;
    if !retry_policy::remove_override(&mut tx, category, kind).await? {
        return Err(PolicyError::NoOverride(category.into(), kind.into()));
    }
    let policy = retry_policy::deciding(&mut tx, category, None).await?;
    tx.commit().await?;
    Ok(policy)
}

/// The row that decides about failures of a category, of a kind if one is given.
///
/// # Errors
/// [`PolicyError::NoCategory`]; otherwise the database's.
pub async fn deciding(pool: &PgPool, category: &str, kind: Option<&str>) -> Result<Policy, PolicyError> {
    known(pool, category).await?;
    Ok(retry_policy::deciding(&mut *pool.acquire().await?, category, kind).await?)
}

/// Refuses a category that no failure has and no row names.
async fn known(pool: &PgPool, category: &str) -> Result<(), PolicyError> {
    let names = retry_policy::categories(pool).await?;
    if names.iter().any(|name| name == category) {
        return Ok(());
    }
    Err(PolicyError::NoCategory(category.into(), names.join(", ")))
}
