//! Workflows that wait for an event or for children.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::sql;
use crate::failpoint::around;

/// Why an attempt ends although the workflow goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspension {
    /// It sleeps.
    Until(DateTime<Utc>),
    /// It waits for an event, until a time or for ever.
    Event(Option<DateTime<Utc>>),
    /// It began anew, and goes on at once.
    Anew,
    /// It waits for the children that these steps made, by position.
    Children(Vec<i32>),
    /// It waits for one of the children that these steps made.
    Child(Vec<i32>),
    /// The same, or for an event that it has taken note of, until a time or for ever.
    First(Vec<i32>, Option<DateTime<Utc>>),
}

impl Suspension {
    /// When the workflow is to run again at the latest.
    pub(crate) const fn wake_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Until(at) => Some(*at),
            Self::Event(until) | Self::First(_, until) => *until,
            Self::Anew | Self::Children(_) | Self::Child(_) => None,
        }
    }

    /// What it waits for besides the time.
    pub(crate) const fn waits_for(&self) -> Option<&'static str> {
        match self {
            Self::Until(_) => None,
            // An event that nobody has to wait for is there already.
            Self::Anew | Self::Event(_) => Some("event"),
            Self::Children(_) => Some("children"),
            Self::Child(_) | Self::First(..) => Some("child"),
        }
    }

    /// The positions of the steps that made the children it waits for, as PostgreSQL writes an array.
    pub(crate) fn children(&self) -> Option<String> {
        match self {
            Self::Children(steps) | Self::Child(steps) | Self::First(steps, _) => {
                Some(format!("{{{}}}", steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")))
            }
            _ => None,
        }
    }
}

/// Puts parked jobs whose time is up back into their places, at most `limit`; returns how many.
///
/// # Errors
/// The database's.
pub async fn wake_due(connection: &mut PgConnection, limit: i64) -> Result<i32, sqlx::Error> {
    around("parked/wake_due", sqlx::query_scalar(sql!("parked/wake_due")).bind(limit).fetch_one(connection)).await
}

/// Puts parked jobs back into their places whose event came and did not wake them, at most `limit`; returns how many.
///
/// # Errors
/// The database's.
pub async fn wake_missed(connection: &mut PgConnection, limit: i64) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar(sql!("parked/wake_missed")).bind(limit).fetch_one(connection).await
}

/// Puts parents whose children have all ended back into their places, at most `limit`; returns how many. Nobody looks while
/// another session does.
///
/// # Errors
/// The database's.
pub async fn wake_parents(connection: &mut PgConnection, limit: i64) -> Result<i32, sqlx::Error> {
    around("parked/wake_parents", sqlx::query_scalar(sql!("parked/wake_parents")).bind(limit).fetch_one(connection)).await
}

/// Does what is left after workflows were cancelled or died, at most `limit` workflows and children; returns how many.
///
/// # Errors
/// The database's.
pub async fn settle_aftermath(connection: &mut PgConnection, limit: i32) -> Result<i32, sqlx::Error> {
    around("aftermath/settle", sqlx::query_scalar(sql!("aftermath/settle")).bind(limit).fetch_one(connection)).await
}
