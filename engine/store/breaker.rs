//! Circuit breakers: whether an outside system is called at this moment, and why.

mod heard;
mod rule;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Connection, PgConnection, PgPool};

use super::{
    StoreError,
    claim::{Claimed, take_as_probe},
    sql, storable,
};
use crate::{JobId, failpoint::around};

pub use heard::{Ends, Finding, Probed};
pub use rule::{Rule, set};

/// The most bytes of an error text that a breaker keeps.
const ERROR_LIMIT: usize = 1000;

/// Takes note of the system that each kind calls, if it calls any.
///
/// # Errors
/// The database's.
pub async fn declare(connection: &mut PgConnection, kinds: &[(&str, Option<&str>)]) -> Result<(), sqlx::Error> {
    let (kinds, systems): (Vec<&str>, Vec<Option<&str>>) = kinds.iter().copied().unzip();
    sqlx::query(sql!("breaker/declare")).bind(kinds).bind(systems).execute(connection).await.map(drop)
}

/// What a worker has to know of a breaker.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Look {
    /// The system.
    pub system: String,
    /// Whether its kinds are held.
    pub barred: bool,
    /// Whether a probe may go.
    pub probe_due: bool,
    /// Whether nobody will tell what became of the probe that went.
    pub probe_lost: bool,
    /// The job that went last.
    pub probe_job: Option<JobId>,
    /// The number of its run.
    pub probe_attempt: Option<i32>,
}

/// The breakers of these systems.
///
/// # Errors
/// The database's.
pub async fn look(connection: &mut PgConnection, systems: &[&str]) -> Result<Vec<Look>, sqlx::Error> {
    sqlx::query_as(sql!("breaker/look")).bind(systems).fetch_all(connection).await
}

/// A breaker that opened or closed.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Change {
    /// The system.
    pub system: String,
    /// `open` or `close`.
    pub act: String,
    /// When the next probe may go.
    pub probe_at: Option<DateTime<Utc>>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// Adds how attempts ended to what is counted in this second; nothing is decided by it.
///
/// # Errors
/// The database's.
pub async fn count(connection: &mut PgConnection, ends: &[Ends]) -> Result<(), sqlx::Error> {
    let counting = sqlx::query(sql!("breaker/count"))
        .bind(ends.iter().map(|end| end.system).collect::<Vec<_>>())
        .bind(ends.iter().map(|end| end.category).collect::<Vec<_>>())
        .bind(ends.iter().map(|end| end.ended).collect::<Vec<_>>());
    counting.execute(connection).await.map(drop)
}

/// Counts what ended and decides what follows; `jitter` multiplies cool-downs. `None`: somebody else decides about one of them at this moment, and nothing was written.
///
/// # Errors
/// The database's.
pub async fn report(
    connection: &mut PgConnection,
    ends: &[Ends],
    probed: &[Probed],
    jitter: f64,
) -> Result<Option<Vec<Change>>, sqlx::Error> {
    let mut systems: Vec<&str> = ends.iter().map(|end| end.system).chain(probed.iter().map(|probe| probe.system)).collect();
    systems.sort_unstable();
    systems.dedup();
    let mut tx = connection.begin().await?;
    let locked: Vec<String> = sqlx::query_scalar(sql!("breaker/lock")).bind(&systems).fetch_all(&mut *tx).await?;
    if locked.len() < systems.len() {
        return Ok(None);
    }
    count(&mut tx, ends).await?;
    let failed: Vec<&Ends> = ends.iter().filter(|end| end.category.is_some()).collect();
    let judging = sqlx::query_as(sql!("breaker/judge"))
        .bind(&systems)
        .bind(failed.iter().map(|end| end.system).collect::<Vec<_>>())
        .bind(failed.iter().map(|end| end.category).collect::<Vec<_>>())
        .bind(failed.iter().map(|end| end.wait_ms).collect::<Vec<_>>())
        .bind(failed.iter().map(|end| end.error.as_deref().map(|error| storable(error, ERROR_LIMIT))).collect::<Vec<_>>())
        .bind(probed.iter().map(|probe| probe.system).collect::<Vec<_>>())
        .bind(probed.iter().map(|probe| probe.job_id).collect::<Vec<_>>())
        .bind(probed.iter().map(|probe| probe.attempt).collect::<Vec<_>>())
        .bind(probed.iter().map(|probe| probe.finding.as_str()).collect::<Vec<_>>())
        .bind(probed.iter().map(|probe| probe.finding.category()).collect::<Vec<_>>())
        .bind(jitter)
        .fetch_all(&mut *tx);
    let changes = judging.await?;
    tx.commit().await?;
    Ok(Some(changes))
}

/// Claims one job as the probe of each system that may be probed: one over the whole fleet, however many workers ask.
///
/// # Errors
/// The database's.
pub async fn take_probes(
    connection: &mut PgConnection,
    worker_id: i64,
    kinds: &[String],
    queues: &[String],
) -> Result<Vec<Claimed>, sqlx::Error> {
    let mut tx = connection.begin().await?;
    let due = lock_due(&mut tx, kinds).await?;
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let lanes: Vec<(String, i32)> = sqlx::query_as(sql!("breaker/lanes")).bind(&due).bind(kinds).bind(queues).fetch_all(&mut *tx).await?;
    let mut taken = Vec::new();
    for system in &due {
        let of_system = lanes.iter().filter(|(of, _)| of == system).map(|(_, lane)| *lane).collect::<Vec<_>>();
        let Some(probe) = take_as_probe(&mut tx, worker_id, &of_system).await? else { continue };
        probes(&mut tx, system, &probe).await?;
        taken.push(probe);
    }
    around("claim/take_limited commit", tx.commit()).await?;
    Ok(taken)
}

/// Locks the breakers through which a probe may go, of the systems that these kinds call. Returns which.
///
/// # Errors
/// The database's.
pub(crate) async fn lock_due(tx: &mut PgConnection, kinds: &[String]) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(sql!("breaker/lock_due")).bind(kinds).fetch_all(tx).await
}

/// Takes note that this job is on its way as the probe of a system, whose breaker is locked.
///
/// # Errors
/// The database's.
pub(crate) async fn probes(tx: &mut PgConnection, system: &str, job: &Claimed) -> Result<(), sqlx::Error> {
    let noting = sqlx::query(sql!("breaker/probe")).bind(system).bind(job.claim_id).bind(job.job_id).bind(job.attempt);
    noting.execute(tx).await.map(drop)
}

/// Forgets what was counted before the longest window; at most `limit` seconds of it.
///
/// # Errors
/// The database's.
pub(crate) async fn prune(connection: &mut PgConnection, limit: i64) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(sql!("breaker/prune")).bind(limit).execute(connection).await?.rows_affected())
}

/// A breaker as operators see it.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct Breaker {
    /// The outside system.
    pub system: String,
    /// `closed`: it is called. `open`: its kinds are held. `half_open`: one job is on its way to find out.
    pub state: String,
    /// Since when, or since when an operator holds it so.
    pub since: DateTime<Utc>,
    /// When the next probe may go.
    pub probe_at: Option<DateTime<Utc>>,
    /// The job that is on its way.
    pub probe_job: Option<JobId>,
    /// How often it opened since it was last closed.
    pub openings: i32,
    /// The operator that holds it, whatever is counted.
    pub held_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When an attempt last failed in one of its categories.
    pub last_failed_at: Option<DateTime<Utc>>,
    /// In which.
    pub last_category: Option<String>,
    /// With which error.
    pub last_error: Option<String>,
    /// The error categories that say that the system is down.
    pub categories: Vec<String>,
    /// It opens when so much of the attempts in the window failed so, from 0 to 1.
    pub share: f64,
    /// Of at least so many.
    pub at_least: i32,
    /// The window, in milliseconds.
    pub window_ms: i32,
    /// How long it stays open before the first probe, in milliseconds.
    pub cooldown_ms: i32,
    /// How long at most, after probes that failed.
    pub cooldown_most_ms: i32,
    /// When the rule was changed last.
    pub changed_at: DateTime<Utc>,
    /// By whom.
    pub changed_by: String,
    /// The kinds of job that call the system.
    pub kinds: Vec<String>,
    /// How many of their attempts said something of it within the window.
    pub ended: i64,
    /// How many of those said that it is down.
    pub failed: i64,
}

/// Every breaker, by its system.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool) -> Result<Vec<Breaker>, StoreError> {
    Ok(sqlx::query_as(sql!("breaker/list")).fetch_all(pool).await?)
}

/// What an operator holds a breaker at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Its kinds are held, and nothing is tried.
    Open,
    /// Its kinds run, whatever is counted.
    Closed,
}

impl Held {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// Holds a breaker, or, with `None`, lets what is counted decide again: what was held open is probed first. `by` and `reason`
/// stay on record while it is held. False: there is no breaker of this system.
///
/// # Errors
/// The database's.
pub async fn hold(pool: &PgPool, system: &str, held: Option<Held>, by: &str, reason: Option<&str>) -> Result<bool, StoreError> {
    let holding = sqlx::query_scalar(sql!("breaker/hold")).bind(system).bind(held.map(Held::as_str)).bind(by).bind(reason);
    Ok(holding.fetch_one(pool).await?)
}
