//! What a claim hands over: a row of what it saw, and a row a job.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, postgres::PgRow};

use super::{Claimed, Snapshot};
use crate::JobId;

/// Reads the rows of `claim/take.sql`.
///
/// # Errors
/// When they are not what that statement returns.
pub(super) fn read(rows: &[PgRow]) -> Result<(Snapshot, Vec<Claimed>), sqlx::Error> {
    let mut rows = rows.iter();
    let head = Head::from_row(rows.next().ok_or(sqlx::Error::RowNotFound)?)?;
    let jobs = head.jobs(rows.map(Row::from_row).collect::<Result<_, _>>()?);
    let Head { xmin, xmax, last_position, looked_at, limited_lanes, .. } = head;
    let (lanes, limited) = (looked_at.unwrap_or_default(), limited_lanes.unwrap_or_default());
    Ok((Snapshot { xmin, xmax, last_position, lanes, limited }, jobs))
}

/// The first row of a claim.
#[derive(sqlx::FromRow)]
struct Head {
    xmin: i64,
    xmax: i64,
    last_position: i64,
    looked_at: Option<Vec<i32>>,
    kinds: Option<Vec<String>>,
    queues: Option<Vec<Option<String>>>,
    limited_lanes: Option<Vec<i32>>,
    claim_id: Option<i64>,
}

/// A job of a claim.
#[derive(sqlx::FromRow)]
struct Row {
    head: Option<JobId>,
    lane_id: i32,
    position: i64,
    job_id: JobId,
    attempt: i32,
    args: Option<String>,
    created_at: Option<DateTime<Utc>>,
    unique_key: Option<bool>,
    limited: Option<bool>,
    stale: Option<bool>,
    has_parent: Option<bool>,
    trace_parent: Option<String>,
}

impl Head {
    /// The claimed jobs, in the order of their lanes and positions, each that follows another in its run with that one.
    fn jobs(&self, mut rows: Vec<Row>) -> Vec<Claimed> {
        let Some(claim_id) = self.claim_id else { return Vec::new() };
        let (lanes, kinds) = (self.looked_at.as_deref().unwrap_or_default(), self.kinds.as_deref().unwrap_or_default());
        let queues = self.queues.as_deref().unwrap_or_default();
        let ranks: HashMap<i32, usize> = lanes.iter().enumerate().map(|(rank, lane)| (*lane, rank)).collect();
        rows.sort_by_cached_key(|row| (ranks.get(&row.lane_id).copied(), row.head.is_some(), row.position));
        let claimed = |row: Row| {
            let rank = ranks.get(&row.lane_id).copied().unwrap_or(lanes.len());
            let job = Claimed {
                claim_id,
                lane_id: row.lane_id,
                position: row.position,
                job_id: row.job_id,
                attempt: row.attempt,
                kind: kinds.get(rank).cloned().unwrap_or_default(),
                args: row.args,
                created_at: row.created_at,
                unique_key: row.unique_key.unwrap_or(false),
                stale: row.stale.unwrap_or(false),
                has_parent: row.has_parent.unwrap_or(false),
                limited: row.limited.unwrap_or(false),
                queue: queues.get(rank).cloned().flatten(),
                trace_parent: row.trace_parent,
                ..Claimed::default()
            };
            (row.head, job)
        };
        in_runs(rows.into_iter().map(claimed))
    }
}

/// Jobs with the head of the run that each is in, which comes first; none, where it is in none or the head itself.
fn in_runs(claimed: impl ExactSizeIterator<Item = (Option<JobId>, Claimed)>) -> Vec<Claimed> {
    let mut jobs: Vec<Claimed> = Vec::with_capacity(claimed.len());
    let mut heads: HashMap<JobId, usize> = HashMap::new();
    for (head, job) in claimed {
        let Some(head) = head else {
            jobs.push(job);
            continue;
        };
        let at = *heads.entry(head).or_insert_with(|| jobs.iter().position(|job| job.job_id == head).unwrap_or(0));
        let head = &mut jobs[at];
        // The slot is the last one's.
        match head.followers.last_mut() {
            Some(before) => before.limited = false,
            None => head.limited = false,
        }
        head.in_run = true;
        head.followers.push(Claimed { in_run: true, taken_to: job.position, ..job });
    }
    jobs
}
