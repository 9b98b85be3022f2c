//! Why a job stands where it stands: the facts, looked up without walking any table.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::{StoreError, look, sql};
use crate::{
    JobId,
    why::{Bound, Breaker, Pace, Pause, Why, reasons},
};

/// Places before a job are counted up to this many.
const COUNTED: i64 = 100_000;

/// Where a job stands.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Standing {
    pub(crate) id: JobId,
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) priority: i16,
    pub(crate) state: String,
    pub(crate) limit_key: Option<String>,
    pub(crate) run_at: Option<DateTime<Utc>>,
    pub(crate) worker_id: Option<i64>,
    pub(crate) worker_name: Option<String>,
    pub(crate) claimed_at: Option<DateTime<Utc>>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
    pub(crate) category: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) lane_id: i32,
    pub(crate) position: Option<i64>,
    pub(crate) alone: bool,
    pub(crate) waits_for: Option<String>,
    pub(crate) parked_at: Option<DateTime<Utc>>,
    pub(crate) event: Option<String>,
    pub(crate) event_key: Option<String>,
    pub(crate) cancel_by: Option<String>,
    pub(crate) cancel_at: Option<DateTime<Utc>>,
    pub(crate) at: DateTime<Utc>,
}

/// What else bears on it.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) pauses: Vec<Pause>,
    /// Of the system that its kind calls, unless it is called as usual.
    pub(crate) breakers: Vec<Breaker>,
    /// The limits of its queue, its kind and its key.
    pub(crate) bounds: Vec<Bound>,
    /// Live workers that know the kind, and those that serve the queue too.
    pub(crate) know: i64,
    pub(crate) serve: i64,
    /// Jobs before it in ready: of higher priority, and of its lane.
    pub(crate) ahead: Option<(i64, i64)>,
    /// Of its limit key: the cap, the slots taken, and the jobs that wait before it.
    pub(crate) key: Option<(i32, i64, i64)>,
    pub(crate) pace: Pace,
}

/// Why a job has not started, or what became of it.
///
/// # Errors
/// [`StoreError::NoSuchJob`]; otherwise the database's.
pub async fn why(pool: &PgPool, id: JobId) -> Result<Why, StoreError> {
    let mut tx = look::begin(pool).await?;
    let standing: Option<Standing> = sqlx::query_as(sql!("why/standing")).bind(id).fetch_optional(&mut *tx).await?;
    let standing = standing.ok_or(StoreError::NoSuchJob(id))?;
    let facts = match standing.state.as_str() {
        "ready" | "scheduled" | "waiting" => facts(&mut tx, &standing).await?,
        _ => Facts::default(),
    };
    Ok(reasons(standing, &facts))
}

async fn facts(connection: &mut PgConnection, job: &Standing) -> Result<Facts, sqlx::Error> {
    let pauses = sqlx::query_as(sql!("why/pauses"))
        .bind(&job.queue)
        .bind(&job.kind)
        .bind(&job.limit_key)
        .bind(job.lane_id)
        .fetch_all(&mut *connection)
        .await?;
    let breakers = sqlx::query_as(sql!("why/breakers")).bind(&job.kind).fetch_all(&mut *connection).await?;
    let (know, serve): (i64, i64) =
        sqlx::query_as(sql!("why/workers")).bind(&job.queue).bind(&job.kind).fetch_one(&mut *connection).await?;
    let bounds = sqlx::query_as(sql!("why/limits"))
        .bind(&job.queue)
        .bind(&job.kind)
        .bind(job.limit_key.as_ref().filter(|_| job.state == "waiting"))
        .fetch_all(&mut *connection)
        .await?;
    let mut facts = Facts { pauses, breakers, bounds, know, serve, ..Facts::default() };
    if let Some(position) = job.position {
        let counting = sqlx::query_as(sql!("why/ahead")).bind(&job.queue).bind(job.lane_id).bind(job.priority).bind(position);
        facts.ahead = Some(counting.bind(COUNTED).fetch_one(&mut *connection).await?);
        facts.pace = pace(connection, Some(job.lane_id), None, job.id).await?;
    }
    if let (Some(key), "waiting") = (&job.limit_key, job.state.as_str()) {
        facts.key = Some(sqlx::query_as(sql!("why/key")).bind(key).bind(job.id).bind(COUNTED).fetch_one(&mut *connection).await?);
        facts.pace = pace(connection, None, Some(key), job.id).await?;
    }
    Ok(facts)
}

async fn pace(connection: &mut PgConnection, lane: Option<i32>, key: Option<&str>, before: JobId) -> Result<Pace, sqlx::Error> {
    sqlx::query_as(sql!("why/pace")).bind(lane).bind(key).bind(before).fetch_one(connection).await
}
