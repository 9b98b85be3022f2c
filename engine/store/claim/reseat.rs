//! The slot of a run that goes to another of its jobs.

use sqlx::{Connection, PgConnection};

use super::Claimed;
use crate::{failpoint::around, store::sql};

/// Gives the slot that `last` holds to `job`, which runs before it; whether it did. It does not while a transaction of the
/// handler is open, which may be the job's end.
///
/// # Errors
/// The database's.
pub async fn reseat(connection: &mut PgConnection, worker_id: i64, job: &Claimed, last: &Claimed) -> Result<bool, sqlx::Error> {
    let mut tx = connection.begin().await?;
    let locking = sqlx::query_scalar(sql!("claim/lock_job")).bind([job.job_id, last.job_id]).fetch_one(&mut *tx);
    let free: bool = around("claim/lock_job", locking).await?;
    if !free {
        return Ok(false);
    }
    let moved = sqlx::query(sql!("claim/reseat"))
        .bind(worker_id)
        .bind(job.claim_id)
        .bind(job.job_id)
        .bind(job.attempt)
        .bind(last.job_id)
        .bind(last.attempt)
        .fetch_optional(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(moved.is_some())
}
