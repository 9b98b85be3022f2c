//! How many lanes requests may make. Each claim looks at all lanes of its worker's kinds, and whoever holds a token could name
//! another queue with each job.

use engine::NewJob;
use sqlx::PgConnection;

use super::problem::Problem;

/// With so many lanes, requests make no other; those at one time may pass it together. Nobody else is bound by it.
const AT_MOST: i64 = 10_000;

/// Refuses jobs for which a lane too many would be made.
///
/// # Errors
/// 422, naming the queue; the database's.
pub(super) async fn admit<'a>(connection: &mut PgConnection, jobs: impl Iterator<Item = &'a NewJob>) -> Result<(), Problem> {
    let lanes: Vec<_> = jobs.map(NewJob::lane).collect();
    if lanes.is_empty() {
        return Ok(());
    }
    let refused: Option<String> = sqlx::query_scalar(include_str!("../sql/lane/one_too_many.sql"))
        .bind(lanes.iter().map(|lane| lane.0).collect::<Vec<_>>())
        .bind(lanes.iter().map(|lane| lane.1).collect::<Vec<_>>())
        .bind(lanes.iter().map(|lane| lane.2).collect::<Vec<_>>())
        .bind(AT_MOST)
        .fetch_optional(connection)
        .await?;
    match refused {
        None => Ok(()),
        Some(queue) => Err(Problem::invalid(format!(
            "queue {queue}: no job of this kind and priority was ever in it, and with {AT_MOST} lanes of queues, kinds and priorities \
             requests make no other: leave `queue` out, or name one that is used"
        ))),
    }
}
