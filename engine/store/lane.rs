//! Lanes: one per queue, kind and priority.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::{StoreError, sql};
use crate::NewJob;

/// A queue, a kind and a priority.
pub type Lane<'a> = (&'a str, &'a str, i16);

#[derive(sqlx::FromRow)]
struct Row {
    id: i32,
    depth_limit: Option<i64>,
    depth: Option<i64>,
}

/// The lane of each job, made where it is missing.
///
/// # Errors
/// [`StoreError::QueueFull`] when a queue takes no more; [`StoreError::Refused`] for a name that is none; otherwise the database's.
pub async fn of_jobs(connection: &mut PgConnection, jobs: &[&NewJob]) -> Result<Vec<i32>, StoreError> {
    // In one order for everybody: two batches that make lanes wait for each other and never deadlock.
    let mut lanes: Vec<_> = jobs.iter().map(|job| job.lane()).collect();
    lanes.sort_unstable();
    lanes.dedup();
    let rows = rows(connection, &lanes).await.map_err(StoreError::of_refusal)?;
    for (lane, row) in lanes.iter().zip(&rows) {
        if let (Some(limit), Some(depth)) = (row.depth_limit, row.depth)
            && depth >= limit
        {
            return Err(StoreError::QueueFull(format!("queue {} is full: {depth} jobs of it are ready, and its limit is {limit}", lane.0)));
        }
    }
    let by_lane: HashMap<_, _> = lanes.into_iter().zip(rows.iter().map(|row| row.id)).collect();
    Ok(jobs.iter().map(|job| by_lane[&job.lane()]).collect())
}

/// The lanes of these queues, kinds and priorities, made where they are missing.
///
/// Workers call it for their kinds when they register: the first enqueue of a kind in a long transaction would
/// otherwise make every other producer of that kind wait for its end.
///
/// # Errors
/// The database's.
pub async fn ensure(connection: &mut PgConnection, lanes: &[Lane<'_>]) -> Result<Vec<i32>, sqlx::Error> {
    Ok(rows(connection, lanes).await?.into_iter().map(|row| row.id).collect())
}

async fn rows(connection: &mut PgConnection, lanes: &[Lane<'_>]) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(sql!("lane/ensure"))
        .bind(lanes.iter().map(|lane| lane.0).collect::<Vec<_>>())
        .bind(lanes.iter().map(|lane| lane.1).collect::<Vec<_>>())
        .bind(lanes.iter().map(|lane| lane.2).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
}
