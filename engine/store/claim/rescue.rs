//! What becomes of claims whose worker is gone, and of those that are finished.

use sqlx::{Connection, PgConnection};

use crate::{JobId, failpoint::around, store::sql};

/// A claim whose worker is gone.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct Orphan {
    /// The worker that held it.
    pub worker_id: i64,
    /// The claim.
    pub id: i64,
}

/// The next `limit` claims after claim `after` whose worker is declared dead or gone, oldest first.
///
/// # Errors
/// The database's.
pub async fn orphans(connection: &mut PgConnection, after: i64, limit: i64) -> Result<Vec<Orphan>, sqlx::Error> {
    around("claim/orphans", sqlx::query_as(sql!("claim/orphans")).bind(after).bind(limit).fetch_all(connection)).await
}

/// Gives back the unfinished jobs of an orphan; returns how many attempts it ended.
///
/// A handler's transaction may hold the claim, or a row may be bad: then the jobs go one by one, so that one
/// never keeps the others. It waits for no such transaction, and for no other rescuer.
///
/// # Errors
/// The database's, when not even single jobs can be looked at.
pub async fn rescue(connection: &mut PgConnection, orphan: Orphan) -> Result<i64, sqlx::Error> {
    match rescue_whole(connection, orphan).await {
        Ok(Some(ended)) => Ok(ended),
        Ok(None) => rescue_one_by_one(connection, orphan).await,
        Err(error) if error.as_database_error().is_some() => {
            tracing::warn!(worker.id = orphan.worker_id, claim.id = orphan.id, %error, "claim cannot be rescued as a whole, going job by job");
            rescue_one_by_one(connection, orphan).await
        }
        Err(error) => Err(error),
    }
}

/// `None`: a handler's transaction holds the claim, or it is gone.
async fn rescue_whole(connection: &mut PgConnection, orphan: Orphan) -> Result<Option<i64>, sqlx::Error> {
    let mut tx = connection.begin().await?;
    sqlx::query(sql!("claim/lock_timeout")).execute(&mut *tx).await?;
    let ours: bool = sqlx::query_scalar(sql!("claim/lock_rescue")).bind(orphan.id).fetch_one(&mut *tx).await?;
    if !ours {
        return Ok(Some(0));
    }
    let locking = sqlx::query(sql!("claim/lock")).bind(orphan.worker_id).bind(orphan.id).fetch_optional(&mut *tx);
    if around("claim/lock", locking).await?.is_none() {
        return Ok(None);
    }
    let ended = rescue_jobs(&mut tx, orphan, None).await?;
    close_one(&mut tx, orphan).await?;
    around("claim/rescue commit", tx.commit()).await?;
    Ok(Some(ended))
}

async fn rescue_one_by_one(connection: &mut PgConnection, orphan: Orphan) -> Result<i64, sqlx::Error> {
    let groups: Vec<Vec<i64>> =
        sqlx::query_scalar(sql!("claim/ids")).bind(orphan.worker_id).bind(orphan.id).fetch_all(&mut *connection).await?;
    let mut ended = 0;
    for jobs in groups {
        match rescue_group(connection, orphan, &jobs).await {
            Ok(one) => ended += one,
            Err(error) if error.as_database_error().is_some() => {
                tracing::warn!(job.id = jobs.first(), jobs = jobs.len(), %error, "job cannot be rescued yet");
            }
            Err(error) => return Err(error),
        }
    }
    close_one(connection, orphan).await?;
    Ok(ended)
}

async fn rescue_group(connection: &mut PgConnection, orphan: Orphan, jobs: &[i64]) -> Result<i64, sqlx::Error> {
    let mut tx = connection.begin().await?;
    sqlx::query(sql!("claim/lock_timeout")).execute(&mut *tx).await?;
    let free: bool = around("claim/lock_job", sqlx::query_scalar(sql!("claim/lock_job")).bind(jobs).fetch_one(&mut *tx)).await?;
    if !free {
        return Ok(0);
    }
    let ended = rescue_jobs(&mut tx, orphan, Some(jobs)).await?;
    around("claim/rescue one commit", tx.commit()).await?;
    Ok(ended)
}

/// Whether no transaction of a handler holds this job at this moment.
///
/// # Errors
/// The database's.
pub async fn is_let_go(connection: &mut PgConnection, job_id: JobId) -> Result<bool, sqlx::Error> {
    around("claim/lock_job", sqlx::query_scalar(sql!("claim/lock_job")).bind([job_id]).fetch_one(connection)).await
}

async fn rescue_jobs(connection: &mut PgConnection, orphan: Orphan, only: Option<&[i64]>) -> Result<i64, sqlx::Error> {
    let rescuing = sqlx::query_as(sql!("claim/rescue")).bind(orphan.worker_id).bind(orphan.id).bind(only).fetch_one(connection);
    let (ended, _woken): (i64, i64) = around("claim/rescue", rescuing).await?;
    Ok(ended)
}

async fn close_one(connection: &mut PgConnection, orphan: Orphan) -> Result<(), sqlx::Error> {
    around("claim/close_one", sqlx::query(sql!("claim/close_one")).bind(orphan.worker_id).bind(orphan.id).execute(connection)).await?;
    Ok(())
}

/// Drops claims older than `age_ms` whose attempts are all recorded; returns how many.
///
/// # Errors
/// The database's.
pub async fn close_finished(connection: &mut PgConnection, age_ms: i64) -> Result<u64, sqlx::Error> {
    Ok(around("claim/close", sqlx::query(sql!("claim/close")).bind(age_ms).execute(connection)).await?.rows_affected())
}
