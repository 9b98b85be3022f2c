//! How many jobs stand where, and whether any is left to do.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use super::sql;

/// The jobs that live, and the letters of those that died.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Counts {
    /// Jobs that may run now.
    pub ready: i64,
    /// Jobs that wait for a slot of their limit key.
    pub queued: i64,
    /// Jobs that a worker holds.
    pub running: i64,
    /// Jobs that are scheduled to run soon.
    pub soon: i64,
    /// Dead letters that nobody has dealt with.
    pub dead: i64,
}

impl Counts {
    /// Jobs that have not ended and may end soon.
    pub const fn waiting(&self) -> i64 {
        self.ready + self.queued + self.running + self.soon
    }
}

/// Counts, with the jobs that are scheduled to run within `soon`.
///
/// # Errors
/// The database's.
pub async fn count(pool: &PgPool, soon: Duration) -> Result<Counts, sqlx::Error> {
    sqlx::query_as(sql!("place/count")).bind(soon.as_millis() as i64).fetch_one(pool).await
}

/// Whether workers of these kinds and queues have anything left to do now: jobs that may run, that run, on whatever worker, or that are
/// about to go on. What is held, and what is to run at a time to come, is nothing to do now.
///
/// # Errors
/// The database's.
pub async fn is_any_left(connection: &mut PgConnection, kinds: &[String], queues: &[String]) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql!("place/left")).bind(kinds).bind(queues).fetch_one(connection).await
}
