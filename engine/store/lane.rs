//! Lanes: one per queue, kind and priority.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::sql;
use crate::NewJob;

/// The lane of each job, made where it is missing.
///
/// # Errors
/// The database's.
pub async fn of_jobs(connection: &mut PgConnection, jobs: &[NewJob]) -> Result<Vec<i32>, sqlx::Error> {
    let mut order: HashMap<(&str, &str, i16), usize> = HashMap::new();
    for job in jobs {
        let next = order.len();
        order.entry((&job.queue, &job.kind, job.priority)).or_insert(next);
    }
    let mut distinct: Vec<_> = order.iter().map(|(lane, n)| (*n, *lane)).collect();
    distinct.sort_unstable();
    let lanes: Vec<_> = distinct.into_iter().map(|(_, lane)| lane).collect();
    let ids = ensure(connection, &lanes).await?;
    Ok(jobs.iter().map(|job| ids[order[&(job.queue.as_str(), job.kind.as_str(), job.priority)]]).collect())
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
