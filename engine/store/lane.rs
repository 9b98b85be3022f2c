//! Lanes: one per queue, kind and priority.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::sql;
use crate::NewJob;

/// The lane of each job, made where it is missing.
///
/// # Errors
/// The database's.
pub async fn of_jobs(connection: &mut PgConnection, jobs: &[&NewJob]) -> Result<Vec<i32>, sqlx::Error> {
    // In one order for everybody: two batches that make lanes wait for each other and never deadlock.
    let mut lanes: Vec<_> = jobs.iter().map(|job| job.lane()).collect();
    lanes.sort_unstable();
    lanes.dedup();
    let ids = ensure(connection, &lanes).await?;
    let by_lane: HashMap<_, _> = lanes.into_iter().zip(ids).collect();
    Ok(jobs.iter().map(|job| by_lane[&job.lane()]).collect())
}

/// The lanes of these queues, kinds and priorities, made where they are missing.
///
/// Workers call it for their kinds when they register: the first enqueue of a kind in a long transaction would
/// otherwise make every other producer of that kind wait for its end.
///
/// # Errors
/// The database's.
pub async fn ensure(connection: &mut PgConnection, lanes: &[(&str, &str, i16)]) -> Result<Vec<i32>, sqlx::Error> {
    sqlx::query_scalar(sql!("lane/ensure"))
        .bind(lanes.iter().map(|lane| lane.0).collect::<Vec<_>>())
        .bind(lanes.iter().map(|lane| lane.1).collect::<Vec<_>>())
        .bind(lanes.iter().map(|lane| lane.2).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
}
