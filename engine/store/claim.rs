//! Claims: one row a batch that a worker holds.

mod limited;
mod rescue;
mod reseat;
mod taken;

use std::time::Instant;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

pub(crate) use limited::take_as_probe;
pub use limited::{TakenLimited, WantedLimited, take_alone, take_limited};
pub use rescue::{Orphan, close_finished, is_let_go, orphans, rescue};
pub use reseat::reseat;

use super::{
    attempt::{Ended, Verdict},
    sql,
};
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
    /// How many jobs of a limit key may follow each other on one slot, one a lane; none: nowhere more than one.
    pub runs: Vec<i32>,
    /// Whether it looks in front of the lanes too, where stand jobs that were given back.
    pub in_front: bool,
}

/// A job that this worker holds.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says of one table whether the job has a row there")]
pub struct Claimed {
    /// The claim it belongs to.
    pub claim_id: i64,
    /// Its lane.
    pub lane_id: i32,
    /// Its position in `ready`; below 0 when it stood in front of its lane, 0 for a suspect, which never stood there.
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
    /// Whether it is a suspect, which runs with nothing beside it.
    pub alone: bool,
    /// When the claim began, by this process's clock.
    pub taken: Option<Instant>,
    /// Jobs of its limit key that follow it on its slot, in their order.
    pub followers: Vec<Self>,
    /// Whether it is one of a run: of those only the last has the slot.
    pub in_run: bool,
    /// Up to which position the line of its key was taken with it; 0 where nobody knows.
    pub taken_to: i64,
}

impl Claimed {
    /// Itself and what follows it on its slot.
    pub fn run(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.followers)
    }

    /// What is recorded of it.
    pub const fn ended(&self, run_us: i64, verdict: Verdict) -> Ended {
        Ended {
            claim_id: self.claim_id,
            lane_id: self.lane_id,
            job_id: self.job_id,
            attempt: self.attempt,
            run_us,
            unique_key: self.unique_key,
            has_parent: self.has_parent,
            limited: self.limited,
            permitted: self.permitted,
            in_run: self.in_run,
            taken_to: self.taken_to,
            verdict,
        }
    }
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
    /// The lanes besides them whose queue or kind is limited, in the order in which they have their turns.
    pub limited: Vec<i32>,
}

/// Claims ready jobs.
///
/// # Errors
/// The database's.
pub async fn take(connection: &mut PgConnection, wanted: &Wanted<'_>) -> Result<(Snapshot, Vec<Claimed>), sqlx::Error> {
    let taking = sqlx::query(sql!("claim/take"))
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
        .bind(Some(&wanted.runs).filter(|runs| !runs.is_empty()))
        .bind(wanted.in_front)
        .fetch_all(connection);
    taken::read(&around("claim/take", taking).await?)
}

/// A job of a claim that its worker knows nothing of.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct Stray {
    /// The claim.
    pub claim_id: i64,
    /// Whether the claim holds runs.
    pub in_runs: bool,
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
