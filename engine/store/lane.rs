//! Lanes: one per queue, kind and priority.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::sql;
use crate::NewJob;

/// The lane of each job, made where it is missing.
///
/// # Errors
/// The database's.
pub async fn ensure(connection: &mut PgConnection, jobs: &[NewJob]) -> Result<Vec<i32>, sqlx::Error> {
    let mut order: HashMap<(&str, &str, i16), usize> = HashMap::new();
    for job in jobs {
        let next = order.len();
        order.entry((&job.queue, &job.kind, job.priority)).or_insert(next);
    }
    let mut distinct: Vec<_> = order.iter().collect();
    distinct.sort_unstable_by_key(|(_, n)| **n);
    let ids: Vec<i32> = sqlx::query_scalar(sql!("lane/ensure"))
        .bind(distinct.iter().map(|(lane, _)| lane.0).collect::<Vec<_>>())
        .bind(distinct.iter().map(|(lane, _)| lane.1).collect::<Vec<_>>())
        .bind(distinct.iter().map(|(lane, _)| lane.2).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    Ok(jobs.iter().map(|job| ids[order[&(job.queue.as_str(), job.kind.as_str(), job.priority)]]).collect())
}
