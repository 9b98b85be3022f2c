//! What runs at a time: delayed jobs, retries, snoozes, suspects.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::sql;
use crate::failpoint::around;

/// Moves due jobs later than `floor` into `ready`; returns how many left and the latest due time among them.
///
/// # Errors
/// The database's.
pub async fn promote(connection: &mut PgConnection, floor: DateTime<Utc>, limit: i64) -> Result<(i64, Option<DateTime<Utc>>), sqlx::Error> {
    let promoting = sqlx::query_as(sql!("scheduled/promote")).bind(floor).bind(limit).fetch_one(connection);
    let (moved, last, _woken): (i64, Option<DateTime<Utc>>, i64) = around("scheduled/promote", promoting).await?;
    Ok((moved, last))
}

/// Promotes due jobs one at a time, past those that cannot be moved; returns how many moved.
///
/// # Errors
/// The connection's; a job's own fault is logged and passed over.
pub async fn promote_one_by_one(connection: &mut PgConnection, limit: i64) -> Result<i64, sqlx::Error> {
    let due: Vec<(DateTime<Utc>, i64)> = sqlx::query_as(sql!("scheduled/due_one_by_one")).bind(limit).fetch_all(&mut *connection).await?;
    let mut moved = 0_i64;
    for (run_at, job_id) in due {
        match sqlx::query_scalar::<_, i64>(sql!("scheduled/promote_one")).bind(run_at).bind(job_id).fetch_one(&mut *connection).await {
            Ok(one) => moved += one,
            Err(error) if error.as_database_error().is_some() => tracing::error!(job.id = job_id, %error, "a due job cannot be promoted"),
            Err(error) => return Err(error),
        }
    }
    Ok(moved)
}

/// Whether a suspect of these kinds and queues is due.
///
/// # Errors
/// The database's.
pub async fn suspects_due(connection: &mut PgConnection, worker_id: i64, kinds: &[String], queues: &[String]) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql!("scheduled/suspects")).bind(kinds).bind(queues).bind(worker_id).fetch_one(connection).await
}
