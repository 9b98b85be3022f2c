//! What operators see of schedules, and what they do to them while the program runs.
//!
//! A change takes effect at the leader's next look. It is locked against the leader's acts: an occurrence is fired by the
//! settings from before or from after the change, never by a mixture.
//!
//! ```no_run
//! use engine::schedule::{Schedule, edit::{self, Change}};
//!
//! # async fn example(pool: sqlx::PgPool, sweep: &Schedule) -> Result<(), edit::EditError> {
//! let later = Change { cron: Some("0 9 * * MON-FRI".into()), ..Change::default() };
//! edit::set(&pool, sweep, "ann", Some("the gate opens later"), &later).await?;
//! edit::pause(&pool, sweep, "ann", Some("the yard is flooded")).await?;
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgPool, Postgres, Transaction};

use super::{
    InForce, Misfire, Next, Overlap, Schedule, Settings, Timetable, TimetableError, fire::FireError, policy::JITTER_LIMIT, scheduler::line,
};
use crate::{
    Enqueued, JobId,
    store::{
        clock,
        occurrence::{self, Occurrence},
        schedule::{self, Row, Wanted},
    },
};

/// What is to be other than the program has it; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub cron: Option<String>,
    /// Whose wall clock: the IANA name of a zone.
    pub zone: Option<String>,
    /// What becomes of missed occurrences.
    pub misfire: Option<Misfire>,
    /// What happens while its last job lives.
    pub overlap: Option<Overlap>,
    /// How much later its jobs may run.
    pub jitter: Option<Duration>,
}

/// A schedule with what it did last and does next.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// What is in force.
    #[serde(flatten)]
    pub in_force: InForce,
    /// When it comes next; none while it is paused or cannot fire.
    pub next: Option<Next>,
    /// The last time that it came.
    pub last: Option<Occurrence>,
}

/// Why a schedule is not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// Its line or its zone would say nothing.
    #[error("{0}; nothing was changed")]
    Timetable(#[from] TimetableError),
    /// The jitter is too long.
    #[error("a jitter is {} hours at most; nothing was changed", JITTER_LIMIT.as_secs() / 3600)]
    Jitter,
    /// It is as wanted.
    #[error("schedule {0} {1}")]
    Already(&'static str, String),
    /// Its last job has not ended.
    #[error("schedule {0} was not run: its job {1} has not ended")]
    StillAlive(&'static str, JobId),
    /// Its job cannot be made.
    #[error("schedule {0} was not run: {1}")]
    Job(&'static str, String),
    /// The database's.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Schedules with what they did last and do next, in the order given.
///
/// # Errors
/// The database's.
pub async fn show(pool: &PgPool, schedules: &[Schedule]) -> Result<Vec<Shown>, sqlx::Error> {
    let names: Vec<&str> = schedules.iter().map(|schedule| schedule.name).collect();
    let (rows, mut last) = (schedule::load(pool, &names).await?, occurrence::last(pool, &names).await?);
    let now = clock::now(pool).await?;
    let shown = schedules.iter().map(|schedule| {
        let in_force = InForce::new(schedule, row_of(&rows, schedule));
        let next = if in_force.settings.paused { None } else { in_force.next(now, 1).ok().and_then(|mut next| next.pop()) };
        let place = last.iter().position(|occurrence| occurrence.schedule == schedule.name);
        Shown { in_force, next, last: place.map(|place| last.swap_remove(place)) }
    });
    Ok(shown.collect())
}

/// One schedule as it is in force, and its next occurrences after now.
///
/// # Errors
/// When its line or its zone says nothing; otherwise the database's.
pub async fn next(pool: &PgPool, schedule: &Schedule, count: usize) -> Result<(InForce, Vec<Next>), EditError> {
    let rows = schedule::load(pool, &[schedule.name]).await?;
    let in_force = InForce::new(schedule, row_of(&rows, schedule));
    let next = in_force.next(clock::now(pool).await?, count)?;
    Ok((in_force, next))
}

/// Stops a schedule. What comes while it is paused is let go.
///
/// # Errors
/// [`EditError::Already`]; otherwise the database's.
pub async fn pause(pool: &PgPool, schedule: &Schedule, by: &str, reason: Option<&str>) -> Result<InForce, EditError> {
    let (tx, row) = begin(pool, schedule).await?;
    if row.paused {
        let by = row.changed_by.as_deref().unwrap_or("somebody");
        return Err(EditError::Already(schedule.name, format!("is paused already, last changed by {by}")));
    }
    commit(tx, schedule, by, reason, Wanted { paused: true, ..wanted(row) }, false).await
}

/// Lets a paused schedule go on from now.
///
/// # Errors
/// [`EditError::Already`]; otherwise the database's.
pub async fn resume(pool: &PgPool, schedule: &Schedule, by: &str, reason: Option<&str>) -> Result<InForce, EditError> {
    let (tx, row) = begin(pool, schedule).await?;
    if !row.paused {
        return Err(EditError::Already(schedule.name, "is not paused".into()));
    }
    commit(tx, schedule, by, reason, Wanted { paused: false, ..wanted(row) }, true).await
}

/// Changes a schedule. With another line or zone, occurrences count from now on.
///
/// # Errors
/// When the line or the zone says nothing, or the jitter is too long; otherwise the database's.
pub async fn set(pool: &PgPool, schedule: &Schedule, by: &str, reason: Option<&str>, change: &Change) -> Result<InForce, EditError> {
    let jitter_s = change.jitter.map(|jitter| i32::try_from(jitter.as_secs_f64().ceil() as u64).unwrap_or(i32::MAX));
    if change.jitter.is_some_and(|jitter| jitter > JITTER_LIMIT) {
        return Err(EditError::Jitter);
    }
    let (tx, row) = begin(pool, schedule).await?;
    let before = Settings::in_force(schedule, Some(&row));
    let (line, zone) = (change.cron.as_ref().unwrap_or(&before.cron), change.zone.as_ref().unwrap_or(&before.zone));
    Timetable::parse(line, zone)?;
    let mut wanted = wanted(row);
    wanted.cron = change.cron.clone().or(wanted.cron);
    wanted.zone = change.zone.clone().or(wanted.zone);
    wanted.misfire = change.misfire.map(|misfire| misfire.to_string()).or(wanted.misfire);
    wanted.overlap = change.overlap.map(|overlap| overlap.to_string()).or(wanted.overlap);
    wanted.jitter_s = jitter_s.or(wanted.jitter_s);
    let from_now = *line != before.cron || *zone != before.zone;
    commit(tx, schedule, by, reason, wanted, from_now).await
}

/// Takes back what operators changed: the program's settings are in force again. A paused schedule stays paused.
///
/// # Errors
/// [`EditError::Already`]; otherwise the database's.
pub async fn unset(pool: &PgPool, schedule: &Schedule, by: &str, reason: Option<&str>) -> Result<InForce, EditError> {
    let (tx, row) = begin(pool, schedule).await?;
    if !InForce::new(schedule, Some(&row)).edited {
        return Err(EditError::Already(schedule.name, "is as the program has it".into()));
    }
    let from_now = row.cron.is_some() || row.zone.is_some();
    commit(tx, schedule, by, reason, Wanted { paused: row.paused, ..Wanted::default() }, from_now).await
}

/// Makes a job of a schedule now, paused or not, without jitter. Refused while its last job lives, unless its overlap policy allows
/// it or the operator wants it `anyway`.
///
/// # Errors
/// [`EditError::StillAlive`], [`EditError::Job`]; otherwise the database's.
pub async fn run_now(pool: &PgPool, schedule: &Schedule, by: &str, reason: Option<&str>, anyway: bool) -> Result<Enqueued, EditError> {
    let (mut tx, row) = begin(pool, schedule).await?;
    let settings = Settings::in_force(schedule, Some(&row));
    if !anyway
        && settings.overlap != Overlap::Allow
        && let Some(job) = occurrence::alive(&mut tx, schedule.name).await?
    {
        return Err(EditError::StillAlive(schedule.name, job));
    }
    let refused = |error| match error {
        FireError::Database(error) => EditError::Database(error),
        other => EditError::Job(schedule.name, other.to_string()),
    };
    let job = (schedule.job)().map_err(|error| refused(error.into()))?;
    let at = between_seconds(clock::now_in(&mut tx).await?);
    let enqueued =
        occurrence::run_now(&mut tx, schedule.name, at, by, reason, &job).await.map_err(|error| refused(FireError::from(error)))?;
    tx.commit().await?;
    Ok(enqueued)
}

/// A moment that no line can name, so that a run by hand never takes an occurrence's place.
fn between_seconds(moment: DateTime<Utc>) -> DateTime<Utc> {
    if moment.timestamp_subsec_micros() == 0 { moment + Duration::from_micros(1) } else { moment }
}

async fn begin(pool: &PgPool, schedule: &Schedule) -> Result<(Transaction<'static, Postgres>, Row), sqlx::Error> {
    let mut tx = schedule::begin(pool).await?;
    schedule::ensure(&mut tx, schedule.name, &line(schedule)).await?;
    let row = schedule::lock(&mut tx, schedule.name).await?;
    Ok((tx, row.ok_or(sqlx::Error::RowNotFound)?))
}

async fn commit(
    mut tx: Transaction<'static, Postgres>,
    schedule: &Schedule,
    by: &str,
    reason: Option<&str>,
    wanted: Wanted,
    from_now: bool,
) -> Result<InForce, EditError> {
    schedule::edit(&mut tx, schedule.name, by, reason, &wanted, from_now).await?;
    let row = schedule::lock(&mut tx, schedule.name).await?;
    tx.commit().await?;
    Ok(InForce::new(schedule, row.as_ref()))
}

fn wanted(row: Row) -> Wanted {
    let Row { paused, cron, zone, misfire, overlap, jitter_s, .. } = row;
    Wanted { paused, cron, zone, misfire, overlap, jitter_s }
}

fn row_of<'a>(rows: &'a [Row], schedule: &Schedule) -> Option<&'a Row> {
    rows.iter().find(|row| row.name == schedule.name)
}
