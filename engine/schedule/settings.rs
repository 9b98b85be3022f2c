//! What is in force of a schedule: the program's table with the operators' changes over it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use super::{
    Misfire, Overlap, Schedule, Timetable, TimetableError,
    policy::{JITTER_LIMIT, jittered},
    timetable,
};
use crate::store::schedule::Row;

/// What can be changed of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// When.
    pub cron: String,
    /// Whose wall clock.
    pub zone: String,
    /// What becomes of missed occurrences.
    pub misfire: Misfire,
    /// What happens while its last job lives.
    pub overlap: Overlap,
    /// How much later its jobs may run.
    #[serde(rename = "jitter_s", serialize_with = "as_seconds")]
    pub jitter: Duration,
    /// Whether it is stopped.
    pub paused: bool,
}

/// A schedule as it is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InForce {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// The kind of its jobs.
    pub kind: &'static str,
    /// When, and what follows when it could not.
    #[serde(flatten)]
    pub settings: Settings,
    /// Whether an operator's settings stand in front of the program's.
    pub edited: bool,
    /// When an operator last changed it.
    pub changed_at: Option<DateTime<Utc>>,
    /// Who that was.
    pub changed_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Why it cannot fire, if it cannot.
    pub problem: Option<String>,
}

impl Settings {
    /// What the program has.
    pub fn of(schedule: &Schedule) -> Self {
        Self {
            cron: schedule.cron.to_string(),
            zone: schedule.zone.name().to_string(),
            misfire: schedule.misfire,
            overlap: schedule.overlap,
            jitter: schedule.jitter.min(JITTER_LIMIT),
            paused: false,
        }
    }

    /// What the program has, with what operators changed of it. A policy of theirs that does not parse, which the
    /// table's checks refuse, leaves the program's.
    pub fn in_force(schedule: &Schedule, row: Option<&Row>) -> Self {
        let mut settings = Self::of(schedule);
        let Some(row) = row else { return settings };
        settings.cron = row.cron.clone().unwrap_or(settings.cron);
        settings.zone = row.zone.clone().unwrap_or(settings.zone);
        settings.misfire = row.misfire.as_deref().and_then(|text| text.parse().ok()).unwrap_or(settings.misfire);
        settings.overlap = row.overlap.as_deref().and_then(|text| text.parse().ok()).unwrap_or(settings.overlap);
        settings.jitter = row.jitter_s.map_or(settings.jitter, |seconds| Duration::from_secs(seconds.max(0) as u64));
        settings.paused = row.paused;
        settings
    }

    /// When it comes.
    ///
    /// # Errors
    /// When its line or its zone says nothing.
    pub fn timetable(&self) -> Result<Timetable, TimetableError> {
        Timetable::new(&self.cron, timetable::zone(&self.zone)?)
    }
}

impl InForce {
    /// A schedule of the program with what operators changed of it.
    pub fn new(schedule: &Schedule, row: Option<&Row>) -> Self {
        let settings = Settings::in_force(schedule, row);
        let by_operator = |row: &Row| {
            row.cron.is_some() || row.zone.is_some() || row.misfire.is_some() || row.overlap.is_some() || row.jitter_s.is_some()
        };
        Self {
            name: schedule.name,
            description: schedule.description,
            kind: schedule.kind,
            edited: row.is_some_and(by_operator),
            changed_at: row.and_then(|row| row.changed_at),
            changed_by: row.and_then(|row| row.changed_by.clone()),
            reason: row.and_then(|row| row.reason.clone()),
            problem: settings.timetable().err().map(|error| error.to_string()).or_else(|| row.and_then(|row| row.problem.clone())),
            settings,
        }
    }

    /// When it comes after a moment, and when the job of each occurrence runs.
    ///
    /// # Errors
    /// When its line or its zone says nothing.
    pub fn next(&self, after: DateTime<Utc>, count: usize) -> Result<Vec<Next>, TimetableError> {
        let timetable = self.settings.timetable()?;
        let next = timetable.between(after, DateTime::<Utc>::MAX_UTC).take(count);
        Ok(next
            .map(|occurrence| Next {
                occurrence,
                local: occurrence.with_timezone(&timetable.zone()).format("%Y-%m-%d %H:%M:%S %Z").to_string(),
                runs_at: jittered(self.name, occurrence, self.settings.jitter),
            })
            .collect())
    }
}

/// An occurrence that is to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Next {
    /// When it is due.
    pub occurrence: DateTime<Utc>,
    /// The same by the schedule's wall clock.
    pub local: String,
    /// When its job runs: the jitter later.
    pub runs_at: DateTime<Utc>,
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}
