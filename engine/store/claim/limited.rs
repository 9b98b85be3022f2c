//! Claims under limits of queues and kinds, and of suspects: each counted under a lock.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};

use super::Claimed;
use crate::{
    JobId,
    failpoint::around,
    store::{breaker, sql},
};

/// What a worker wants of lanes whose queue or kind is limited.
#[derive(Debug, Default)]
pub struct WantedLimited {
    /// The worker that claims.
    pub worker_id: i64,
    /// The most jobs it takes in all.
    pub limit: i64,
    /// The lanes in order, with the floor and the most jobs of each.
    pub lanes: Vec<(i32, i64, i64)>,
    /// Whether it looks in front of the lanes too, where stand jobs that were given back.
    pub in_front: bool,
}

/// What a claim in limited lanes gave.
#[derive(Debug, Default)]
pub struct TakenLimited {
    /// The jobs.
    pub jobs: Vec<Claimed>,
    /// How long to wait before the next, where rates ask for it.
    pub wait: Option<Duration>,
    /// The lanes in which it looked: their limits left a place.
    pub looked: Vec<i32>,
}

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(default)]
    wait_s: Option<f64>,
    #[sqlx(default)]
    looked: Option<bool>,
    #[sqlx(default)]
    probe_of: Option<String>,
    #[sqlx(flatten)]
    job: JobRow,
}

impl Row {
    fn claimed(self) -> Option<Claimed> {
        Some(Claimed { permitted: true, probe: self.probe_of.is_some(), ..self.job.claimed()? })
    }
}

/// The columns of a claimed job; null in a row that only says how long to wait.
#[derive(sqlx::FromRow)]
struct JobRow {
    claim_id: Option<i64>,
    lane_id: Option<i32>,
    #[sqlx(default)]
    position: Option<i64>,
    job_id: Option<JobId>,
    attempt: Option<i32>,
    kind: Option<String>,
    args: Option<String>,
    created_at: Option<DateTime<Utc>>,
    unique_key: Option<bool>,
    stale: Option<bool>,
    has_parent: Option<bool>,
    limited: Option<bool>,
    queue: Option<String>,
    trace_parent: Option<String>,
}

impl JobRow {
    fn claimed(self) -> Option<Claimed> {
        Some(Claimed {
            claim_id: self.claim_id?,
            lane_id: self.lane_id?,
            position: self.position.unwrap_or(0),
            job_id: self.job_id?,
            attempt: self.attempt?,
            kind: self.kind?,
            args: self.args,
            created_at: self.created_at,
            unique_key: self.unique_key.unwrap_or(false),
            stale: self.stale.unwrap_or(false),
            has_parent: self.has_parent.unwrap_or(false),
            limited: self.limited.unwrap_or(false),
            queue: self.queue,
            trace_parent: self.trace_parent,
            ..Claimed::default()
        })
    }
}

/// Claims ready jobs of lanes whose queue or kind is limited, as many as the limits leave. Nothing, when another worker does
/// so at this moment.
///
/// # Errors
/// The database's.
pub async fn take_limited(connection: &mut PgConnection, wanted: &WantedLimited) -> Result<TakenLimited, sqlx::Error> {
    let mut taken = TakenLimited::default();
    let mut tx = connection.begin().await?;
    let lanes: Vec<i32> = wanted.lanes.iter().map(|(lane, ..)| *lane).collect();
    let Some(locked) = lock(&mut tx, &lanes).await? else { return Ok(taken) };
    for (lane, floor, quota) in &wanted.lanes {
        let most = (*quota).min(wanted.limit - taken.jobs.len() as i64);
        if most <= 0 {
            break;
        }
        let rows = take_of_lane(&mut tx, wanted.worker_id, (*lane, *floor, most), (false, wanted.in_front), &locked).await?;
        let wait = rows.first().and_then(|row| row.wait_s).filter(|wait| *wait > 0.0).map(Duration::from_secs_f64);
        if rows.first().and_then(|row| row.looked) == Some(true) {
            taken.looked.push(*lane);
        }
        taken.wait = [taken.wait, wait].into_iter().flatten().min();
        taken.jobs.extend(rows.into_iter().filter_map(Row::claimed));
    }
    around("claim/take_limited commit", tx.commit()).await?;
    Ok(taken)
}

/// Claims the first job of these lanes that their limits let go, although the system that it calls is down. `None` also when
/// another worker claims under those limits at this moment.
///
/// # Errors
/// The database's.
pub(crate) async fn take_as_probe(tx: &mut PgConnection, worker_id: i64, lanes: &[i32]) -> Result<Option<Claimed>, sqlx::Error> {
    let Some(locked) = lock(tx, lanes).await? else { return Ok(None) };
    for lane in lanes {
        let rows = take_of_lane(tx, worker_id, (*lane, 0, 1), (true, true), &locked).await?;
        if let Some(job) = rows.into_iter().find_map(Row::claimed) {
            return Ok(Some(Claimed { probe: true, ..job }));
        }
    }
    Ok(None)
}

/// Locks the limits of lanes; `None` when another worker has locked one of them.
async fn lock(tx: &mut PgConnection, lanes: &[i32]) -> Result<Option<Vec<i32>>, sqlx::Error> {
    Ok(all(sqlx::query_as(sql!("limit/lock")).bind(lanes).fetch_one(tx).await?))
}

/// What was locked, if that is as many as there are.
fn all((limits, locked): (i64, Vec<i32>)) -> Option<Vec<i32>> {
    (locked.len() as i64 == limits).then_some(locked)
}

async fn take_of_lane(
    tx: &mut PgConnection,
    worker_id: i64,
    (lane, floor, most): (i32, i64, i64),
    (probe, in_front): (bool, bool),
    locked: &[i32],
) -> Result<Vec<Row>, sqlx::Error> {
    let taking = sqlx::query_as(sql!("claim/take_limited")).bind(worker_id).bind(lane).bind(floor).bind(most).bind(probe);
    around("claim/take_limited", taking.bind(in_front).bind(locked).fetch_all(tx)).await
}

/// Claims one due suspect, perhaps as the probe of the system that it calls.
///
/// # Errors
/// The database's.
pub async fn take_alone(
    connection: &mut PgConnection,
    worker_id: i64,
    kinds: &[String],
    queues: &[String],
) -> Result<Option<Claimed>, sqlx::Error> {
    let mut tx = connection.begin().await?;
    let Some(locked) = all(sqlx::query_as(sql!("limit/lock_suspects")).fetch_one(&mut *tx).await?) else { return Ok(None) };
    let due = breaker::lock_due(&mut tx, kinds).await?;
    let taking = sqlx::query_as(sql!("claim/take_alone")).bind(worker_id).bind(kinds).bind(queues).bind(due);
    let taking = taking.bind(locked).fetch_optional(&mut *tx);
    let row: Option<Row> = around("claim/take_alone", taking).await?;
    let system = row.as_ref().and_then(|row| row.probe_of.clone());
    let job = row.and_then(Row::claimed).map(|job| Claimed { alone: true, ..job });
    if let (Some(system), Some(job)) = (&system, &job) {
        breaker::probes(&mut tx, system, job).await?;
    }
    tx.commit().await?;
    Ok(job)
}
