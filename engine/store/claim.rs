//! Claims: one row a batch that a worker holds.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};

use super::sql;
use crate::{JobId, failpoint::around};

/// What a worker asks of a claim.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// The worker that claims.
    pub worker_id: i64,
    /// The kinds it knows.
    pub kinds: &'a [String],
    /// The queues it serves.
    pub queues: &'a [String],
    /// The most jobs it takes in all.
    pub limit: i64,
    /// The lanes it has met, with the floor and the most jobs of each.
    pub lanes: Vec<i32>,
    /// Below which position nothing is left, one a lane.
    pub floors: Vec<i64>,
    /// The most jobs it takes, one a lane; `None`: as of a lane it has not met.
    pub quotas: Vec<Option<i64>>,
    /// By how many priorities each counts as more urgent, since it was not looked at for long.
    pub boosts: Vec<i32>,
    /// The most jobs of a lane it has not met.
    pub new_lane_quota: i64,
    /// Turns the order among lanes of equal priority.
    pub turn: i32,
    /// Whether it wants to know the queue of each job.
    pub with_queues: bool,
}

/// A job that this worker holds.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says of one table whether the job has a row there")]
pub struct Claimed {
    /// The claim it belongs to.
    pub claim_id: i64,
    /// Its lane.
    pub lane_id: i32,
    /// Its position in `ready`; 0 for a suspect, which never stood there.
    pub position: i64,
    /// The job.
    pub job_id: JobId,
    /// The number of this run.
    pub attempt: i32,
    /// Its kind.
    pub kind: String,
    /// Its arguments as stored; `None` when the job's row is gone, which is a fault.
    pub args: Option<String>,
    /// When it was enqueued.
    pub created_at: Option<DateTime<Utc>>,
    /// Its queue, where spans are told to somebody.
    pub queue: Option<String>,
    /// The place in a trace that it was enqueued at.
    pub trace_parent: Option<String>,
    /// Whether it holds a unique key.
    pub unique_key: bool,
    /// Whether its deadline had passed.
    pub stale: bool,
    /// Whether it was made on behalf of another job.
    pub has_parent: bool,
    /// Whether it holds a slot of its limit key.
    pub limited: bool,
    /// Whether its claim may have permits of its queue or kind.
    pub permitted: bool,
    /// Whether it is to find out how the system is that its kind calls.
    pub probe: bool,
    /// When the claim began, by this process's clock.
    pub taken: Option<Instant>,
}

/// What a claim saw of the database, by which floors are moved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Every transaction below it has ended.
    pub xmin: i64,
    /// The first transaction id not yet given out.
    pub xmax: i64,
    /// The last position given out.
    pub last_position: i64,
    /// The lanes it may have looked at, in that order: known to the worker and not paused.
    pub lanes: Vec<i32>,
    /// The lanes besides them whose queue or kind is limited, those of high priority first.
    pub limited: Vec<i32>,
}

#[derive(sqlx::FromRow)]
struct Row {
    xmin: i64,
    xmax: i64,
    last_position: i64,
    looked_at: Option<Vec<i32>>,
    limited_lanes: Option<Vec<i32>>,
    claim_id: Option<i64>,
    lane_id: Option<i32>,
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

/// Claims ready jobs.
///
/// # Errors
/// The database's.
pub async fn take(connection: &mut PgConnection, wanted: &Wanted<'_>) -> Result<(Snapshot, Vec<Claimed>), sqlx::Error> {
    let taking = sqlx::query_as(sql!("claim/take"))
        .bind(wanted.worker_id)
        .bind(wanted.kinds)
        .bind(wanted.queues)
        .bind(wanted.limit)
        .bind(&wanted.lanes)
        .bind(&wanted.floors)
        .bind(&wanted.quotas)
        .bind(wanted.new_lane_quota)
        .bind(wanted.turn)
        .bind(&wanted.boosts)
        .bind(wanted.with_queues)
        .fetch_all(connection);
    let mut rows: Vec<Row> = around("claim/take", taking).await?;
    let snapshot = rows.first_mut().map_or_else(Snapshot::default, |row| Snapshot {
        xmin: row.xmin,
        xmax: row.xmax,
        last_position: row.last_position,
        lanes: row.looked_at.take().unwrap_or_default(),
        limited: row.limited_lanes.take().unwrap_or_default(),
    });
    Ok((snapshot, rows.into_iter().filter_map(claimed).collect()))
}

fn claimed(row: Row) -> Option<Claimed> {
    Some(Claimed {
        claim_id: row.claim_id?,
        lane_id: row.lane_id?,
        position: row.position?,
        job_id: row.job_id?,
        attempt: row.attempt?,
        kind: row.kind?,
        args: row.args,
        created_at: row.created_at,
        unique_key: row.unique_key.unwrap_or(false),
        stale: row.stale.unwrap_or(false),
        has_parent: row.has_parent.unwrap_or(false),
        limited: row.limited.unwrap_or(false),
        queue: row.queue,
        trace_parent: row.trace_parent,
        ..Claimed::default()
    })
}

/// What a worker wants of lanes whose queue or kind is limited.
#[derive(Debug, Default)]
pub struct WantedLimited {
    /// The worker that claims.
    pub worker_id: i64,
    /// The most jobs it takes in all.
    pub limit: i64,
    /// The lanes in order, with the floor and the most jobs of each.
    pub lanes: Vec<(i32, i64, i64)>,
}

/// What a claim in limited lanes gave.
#[derive(Debug, Default)]
pub struct TakenLimited {
    /// The jobs.
    pub jobs: Vec<Claimed>,
    /// How long to wait before the next, where rates ask for it.
    pub wait: Option<Duration>,
}

#[derive(sqlx::FromRow)]
struct LimitedRow {
    #[sqlx(default)]
    wait_s: Option<f64>,
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

/// Claims ready jobs of lanes whose queue or kind is limited, as many as the limits leave. Nothing, when another worker does
/// so at this moment.
///
/// # Errors
/// The database's.
pub async fn take_limited(connection: &mut PgConnection, wanted: &WantedLimited) -> Result<TakenLimited, sqlx::Error> {
    let mut taken = TakenLimited::default();
    let mut tx = connection.begin().await?;
    let lanes: Vec<i32> = wanted.lanes.iter().map(|(lane, ..)| *lane).collect();
    let (limits, locked): (i64, i64) = sqlx::query_as(sql!("limit/lock")).bind(lanes).fetch_one(&mut *tx).await?;
    if locked < limits {
        return Ok(taken);
    }
    for (lane, floor, quota) in &wanted.lanes {
        let most = (*quota).min(wanted.limit - taken.jobs.len() as i64);
        if most <= 0 {
            break;
        }
        let rows = take_of_lane(&mut tx, wanted.worker_id, (*lane, *floor, most), false).await?;
        let wait = rows.first().and_then(|row| row.wait_s).filter(|wait| *wait > 0.0).map(Duration::from_secs_f64);
        taken.wait = [taken.wait, wait].into_iter().flatten().min();
        taken.jobs.extend(rows.into_iter().filter_map(limited));
    }
    around("claim/take_limited commit", tx.commit()).await?;
    Ok(taken)
}

fn limited(row: LimitedRow) -> Option<Claimed> {
    Some(Claimed {
        claim_id: row.claim_id?,
        lane_id: row.lane_id?,
        position: row.position.unwrap_or(0),
        job_id: row.job_id?,
        attempt: row.attempt?,
        kind: row.kind?,
        args: row.args,
        created_at: row.created_at,
        unique_key: row.unique_key.unwrap_or(false),
        stale: row.stale.unwrap_or(false),
        has_parent: row.has_parent.unwrap_or(false),
        limited: row.limited.unwrap_or(false),
        permitted: true,
        queue: row.queue,
        trace_parent: row.trace_parent,
        ..Claimed::default()
    })
}

/// Claims the first job of these lanes that their limits let go, although the system that it calls is down. `None` also when
/// another worker claims under those limits at this moment.
///
/// # Errors
/// The database's.
pub(crate) async fn take_as_probe(tx: &mut PgConnection, worker_id: i64, lanes: &[i32]) -> Result<Option<Claimed>, sqlx::Error> {
    let (limits, locked): (i64, i64) = sqlx::query_as(sql!("limit/lock")).bind(lanes).fetch_one(&mut *tx).await?;
    if locked < limits {
        return Ok(None);
    }
    for lane in lanes {
        let rows = take_of_lane(tx, worker_id, (*lane, 0, 1), true).await?;
        if let Some(job) = rows.into_iter().find_map(limited) {
            return Ok(Some(Claimed { probe: true, ..job }));
        }
    }
    Ok(None)
}

async fn take_of_lane(
    tx: &mut PgConnection,
    worker_id: i64,
    (lane, floor, most): (i32, i64, i64),
    probe: bool,
) -> Result<Vec<LimitedRow>, sqlx::Error> {
    let taking = sqlx::query_as(sql!("claim/take_limited")).bind(worker_id).bind(lane).bind(floor).bind(most).bind(probe);
    around("claim/take_limited", taking.fetch_all(tx)).await
}

/// Claims one due suspect.
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
    let (limits, locked): (i64, i64) = sqlx::query_as(sql!("limit/lock_suspects")).fetch_one(&mut *tx).await?;
    if locked < limits {
        return Ok(None);
    }
    let taking = sqlx::query_as(sql!("claim/take_alone")).bind(worker_id).bind(kinds).bind(queues).fetch_optional(&mut *tx);
    let row: Option<LimitedRow> = around("claim/take_alone", taking).await?;
    tx.commit().await?;
    Ok(row.and_then(limited))
}

/// A job of a claim that its worker knows nothing of.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct Stray {
    /// The claim.
    pub claim_id: i64,
    /// The job.
    pub job_id: JobId,
    /// The number of the run that never began.
    pub attempt: i32,
}

/// The unfinished jobs that a worker holds in claims other than those it knows.
///
/// # Errors
/// The database's.
pub async fn strays(connection: &mut PgConnection, worker_id: i64, known: &[i64]) -> Result<Vec<Stray>, sqlx::Error> {
    around("claim/strays", sqlx::query_as(sql!("claim/strays")).bind(worker_id).bind(known).fetch_all(connection)).await
}

/// Proves, at the start of a handler's transaction, that the attempt is still the worker's. What triggers enqueue in it belongs
/// to `trace`.
///
/// # Errors
/// The database's.
pub async fn assert_held(
    connection: &mut PgConnection,
    worker_id: i64,
    claim_id: i64,
    job_id: JobId,
    attempt: i32,
    trace: Option<&str>,
) -> Result<bool, sqlx::Error> {
    around("claim/assert_lock", sqlx::query(sql!("claim/assert_lock")).bind(job_id).execute(&mut *connection)).await?;
    let proof = sqlx::query(sql!("claim/assert")).bind(worker_id).bind(claim_id).bind(job_id).bind(attempt).bind(trace);
    let held = around("claim/assert", proof.fetch_optional(connection)).await?;
    Ok(held.is_some())
}

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
    let ids: Vec<i64> = sqlx::query_scalar(sql!("claim/ids")).bind(orphan.worker_id).bind(orphan.id).fetch_all(&mut *connection).await?;
    let mut ended = 0;
    for id in ids {
        match rescue_job(connection, orphan, id).await {
            Ok(one) => ended += one,
            Err(error) if error.as_database_error().is_some() => tracing::warn!(job.id = id, %error, "job cannot be rescued yet"),
            Err(error) => return Err(error),
        }
    }
    close_one(connection, orphan).await?;
    Ok(ended)
}

async fn rescue_job(connection: &mut PgConnection, orphan: Orphan, id: i64) -> Result<i64, sqlx::Error> {
    let mut tx = connection.begin().await?;
    sqlx::query(sql!("claim/lock_timeout")).execute(&mut *tx).await?;
    let free: bool = around("claim/lock_job", sqlx::query_scalar(sql!("claim/lock_job")).bind(id).fetch_one(&mut *tx)).await?;
    if !free {
        return Ok(0);
    }
    let ended = rescue_jobs(&mut tx, orphan, Some(&[id])).await?;
    around("claim/rescue one commit", tx.commit()).await?;
    Ok(ended)
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
