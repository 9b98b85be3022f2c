//! One act of the leader on one schedule: a transaction that proves the term, locks the schedule and leaves a fact.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::{
    Overlap, Schedule, Settings, TimetableError,
    plan::{Due, What},
    policy::jittered,
};
use crate::{
    Enqueued, StoreError,
    failpoint::around,
    store::{
        clock,
        leader::{self, Lead},
        occurrence::{self, How, Noted},
        schedule::{self, Row},
    },
};

/// Why a schedule cannot be dealt with.
#[derive(Debug, thiserror::Error)]
pub(super) enum FireError {
    #[error(transparent)]
    Timetable(#[from] TimetableError),
    #[error("its job does not serialise: {0}")]
    Job(#[from] serde_json::Error),
    #[error("its job is refused: {0}")]
    Refused(StoreError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<StoreError> for FireError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(error) if error.as_database_error().is_none() => Self::Database(error),
            other => Self::Refused(other),
        }
    }
}

/// What became of an occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dealt {
    /// It made a job.
    Fired,
    /// It had been dealt with before, or a live job holds the unique key of its job.
    Known,
    /// It made none, because its last job lives.
    Overlapped,
    /// It was missed and is let go.
    LetGo,
    /// Nothing was done: somebody else leads by now, or an operator has just changed the schedule.
    Undone,
}

/// The leader's hand on one schedule.
pub(super) struct Hand<'a> {
    pub pool: &'a PgPool,
    pub lead: &'a Lead,
    pub schedule: &'a Schedule,
    pub settings: &'a Settings,
    /// The number of edits that the settings come from.
    pub edits: i32,
}

impl Hand<'_> {
    /// A transaction in which this leader leads and the schedule is as it was read.
    async fn begin(&self) -> Result<Option<(Transaction<'static, Postgres>, Row)>, sqlx::Error> {
        let mut tx = schedule::begin(self.pool).await?;
        if !leader::still_leads(&mut tx, self.lead).await? {
            return Ok(None);
        }
        let row = schedule::lock(&mut tx, self.schedule.name).await?;
        Ok(row.filter(|row| row.edits == self.edits).map(|row| (tx, row)))
    }

    /// Deals with one occurrence that is due.
    pub async fn deal(&self, due: Due) -> Result<Dealt, FireError> {
        let Some((mut tx, row)) = self.begin().await? else { return Ok(Dealt::Undone) };
        let mut buffered = row.buffered;
        let dealt = if buffered == Some(due.at) || occurrence::is_known(&mut tx, self.schedule.name, due.at).await? {
            Dealt::Known
        } else if let What::LetGo { older } = due.what {
            let note = if older { "missed, as others before it were, and let go" } else { "missed and let go" };
            self.note(&mut tx, due.at, How::Misfire, note).await?;
            Dealt::LetGo
        } else {
            self.fire(&mut tx, due, &mut buffered).await?
        };
        schedule::advance(&mut tx, self.schedule.name, row.done_to.max(due.at), buffered).await?;
        around("schedule/fire commit", tx.commit()).await?;
        Ok(dealt)
    }

    async fn fire(&self, tx: &mut PgConnection, due: Due, buffered: &mut Option<DateTime<Utc>>) -> Result<Dealt, FireError> {
        let (how, note) = match due.what {
            What::MakeGood { older: true } => (How::Misfire, Some("others before it were let go")),
            What::MakeGood { older: false } => (How::Misfire, None),
            What::Fire | What::LetGo { .. } => (How::Cron, None),
        };
        let overlap = self.settings.overlap;
        let alive = if overlap == Overlap::Allow { None } else { occurrence::alive(tx, self.schedule.name).await? };
        match alive {
            None => self.make_job(tx, due.at, how, note).await,
            Some(_) if overlap == Overlap::Buffer && buffered.is_none() => {
                *buffered = Some(due.at);
                Ok(Dealt::Overlapped)
            }
            Some(job) => {
                let note = match overlap {
                    Overlap::Buffer => format!("no job: job {job} still lived, and another occurrence waits for its end"),
                    _ => format!("no job: job {job} still lived"),
                };
                self.note(tx, due.at, how, &note).await?;
                Ok(Dealt::Overlapped)
            }
        }
    }

    /// Fires the occurrence that waits, when its schedule's last job has ended.
    pub async fn release_buffered(&self) -> Result<Dealt, FireError> {
        let Some((mut tx, row)) = self.begin().await? else { return Ok(Dealt::Undone) };
        let Some(at) = row.buffered else { return Ok(Dealt::Undone) };
        if occurrence::alive(&mut tx, self.schedule.name).await?.is_some() {
            return Ok(Dealt::Undone);
        }
        let dealt = if occurrence::is_known(&mut tx, self.schedule.name, at).await? {
            Dealt::Known
        } else {
            self.make_job(&mut tx, at, How::Cron, Some("waited for the end of the last job")).await?
        };
        schedule::advance(&mut tx, self.schedule.name, row.done_to, None).await?;
        tx.commit().await?;
        Ok(dealt)
    }

    /// Follows a clock that was set back: what comes from now on counts. What made a job keeps its row, so that it makes
    /// no second one.
    pub async fn follow_the_clock(&self, now: DateTime<Utc>) -> Result<Dealt, FireError> {
        let Some((mut tx, row)) = self.begin().await? else { return Ok(Dealt::Undone) };
        // A look reads the clock before it reads schedules: what an operator changes in between counts from a later moment.
        if row.done_to <= clock::now_in(&mut tx).await? {
            return Ok(Dealt::Known);
        }
        tracing::warn!(schedule = self.schedule.name, done_to = %row.done_to, %now, "the clock was set back, following it");
        occurrence::forget_jobless(&mut tx, self.schedule.name, now).await?;
        schedule::advance(&mut tx, self.schedule.name, row.done_to.min(now), row.buffered).await?;
        tx.commit().await?;
        Ok(Dealt::Known)
    }

    async fn make_job(&self, tx: &mut PgConnection, at: DateTime<Utc>, how: How, note: Option<&str>) -> Result<Dealt, FireError> {
        let noted = Noted { at, job_id: None, how, by: None, note };
        let enqueued = enqueue(tx, self.schedule, self.settings, noted).await?;
        Ok(if enqueued.created { Dealt::Fired } else { Dealt::Known })
    }

    async fn note(&self, tx: &mut PgConnection, at: DateTime<Utc>, how: How, note: &str) -> Result<(), sqlx::Error> {
        occurrence::put(tx, self.schedule.name, Noted { at, job_id: None, how, by: None, note: Some(note) }).await
    }
}

/// Makes the job of an occurrence and notes both, in the caller's transaction, which has locked the schedule.
pub(super) async fn enqueue(
    tx: &mut PgConnection,
    schedule: &Schedule,
    settings: &Settings,
    noted: Noted<'_>,
) -> Result<Enqueued, FireError> {
    let mut job = (schedule.job)()?;
    if !settings.jitter.is_zero() {
        let spread = jittered(schedule.name, noted.at, settings.jitter);
        // A delay of its own comes on top.
        let run_at = job.run_at.map_or_else(|| spread + job.delay.unwrap_or_default(), |run_at| run_at + (spread - noted.at));
        job = job.run_at(run_at);
    }
    let enqueued = crate::enqueue_in(tx, &job).await?;
    let note = if enqueued.created { noted.note } else { Some(occurrence::HELD) };
    occurrence::put(tx, schedule.name, Noted { job_id: Some(enqueued.id), note, ..noted }).await?;
    Ok(enqueued)
}
