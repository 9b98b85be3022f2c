//! Recurring jobs: what runs when, by whose clock, and what follows when it could not.
//!
//! A program keeps its [`Schedule`]s in a table in code; operators change them while it runs ([`edit`]). Any number of
//! [`Scheduler`]s may run: the one that leads makes the jobs. That an occurrence makes one job at most does not rest on
//! leadership: its row in `engine.occurrence` is written with the job, in one COMMIT.
//!
//! ```no_run
//! use engine::{Job, JobResult, Outcome, PgPool, Run, Tz, schedule::{Config, Overlap, Schedule, Scheduler, SchedulerError}};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Sweep {}
//!
//! impl Job for Sweep {
//!     const KIND: &'static str = "demo.sweep";
//!     async fn run(&self, _run: &mut Run) -> JobResult {
//!         Ok(Outcome::done())
//!     }
//! }
//!
//! const SCHEDULES: &[Schedule] =
//!     &[Schedule::of::<Sweep>("sweep", "30 6 * * MON-FRI", Tz::Europe__London, "Sweeps the yard").overlap(Overlap::Buffer)];
//!
//! # async fn demo(pool: PgPool) -> Result<(), SchedulerError> {
//! Scheduler::new(pool, SCHEDULES, Config::default()).run(Default::default()).await
//! # }
//! ```

pub mod edit;
mod fire;
mod look;
mod plan;
mod policy;
mod scheduler;
mod settings;
mod table;
pub mod timetable;

use std::time::Duration;

use chrono_tz::Tz;

pub use policy::{CATCH_UP_LIMIT, JITTER_LIMIT, Misfire, Overlap};
pub use scheduler::{Config, Counts, Scheduler, SchedulerError};
pub use settings::{InForce, Next, Settings};
pub use table::validate;
pub use timetable::{Timetable, TimetableError};

use crate::{Job, NewJob};

/// A recurring job, as the program has it. Operators may change all but its name and its job.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Its name. Renaming it starts its history anew.
    pub name: &'static str,
    /// When: minute, hour, day of the month, month, day of the week; with a second before them if there are six fields.
    pub cron: &'static str,
    /// Whose wall clock.
    pub zone: Tz,
    /// What it is for.
    pub description: &'static str,
    /// The kind of its jobs.
    pub kind: &'static str,
    /// One of its jobs.
    pub job: fn() -> Result<NewJob, serde_json::Error>,
    /// What becomes of occurrences that were missed.
    pub misfire: Misfire,
    /// What happens to an occurrence that comes while its last job still lives.
    pub overlap: Overlap,
    /// How much later than its occurrence a job may run, so that not everything begins on the minute.
    pub jitter: Duration,
}

impl Schedule {
    /// A schedule of jobs with their default arguments: of missed occurrences the latest is made good, an occurrence that
    /// comes while its last job lives makes none, and there is no jitter.
    pub const fn of<J: Job + Default>(name: &'static str, cron: &'static str, zone: Tz, description: &'static str) -> Self {
        Self::making::<J>(name, cron, zone, description, || NewJob::of(&J::default()))
    }

    /// As [`Schedule::of`], of jobs with these arguments.
    ///
    /// ```
    /// use chrono_tz::Europe::London;
    /// use engine::{NewJob, schedule::Schedule};
    /// # use engine::{Job, JobResult, Outcome, Run};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Export { region: String }
    /// # impl Job for Export {
    /// #     const KIND: &'static str = "reports.export";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    ///
    /// const NORTH: Schedule = Schedule::making::<Export>("export north", "0 5 * * *", London, "The north's figures", || {
    ///     Ok(NewJob::of(&Export { region: "north".into() })?.unique_args())
    /// });
    /// assert_eq!(NORTH.kind, "reports.export");
    /// ```
    pub const fn making<J: Job>(
        name: &'static str,
        cron: &'static str,
        zone: Tz,
        description: &'static str,
        job: fn() -> Result<NewJob, serde_json::Error>,
    ) -> Self {
        Self { name, cron, zone, description, kind: J::KIND, job, misfire: Misfire::Latest, overlap: Overlap::Skip, jitter: Duration::ZERO }
    }

    /// Sets what becomes of missed occurrences.
    #[must_use]
    pub const fn misfire(mut self, misfire: Misfire) -> Self {
        self.misfire = misfire;
        self
    }

    /// Sets what happens while its last job lives.
    #[must_use]
    pub const fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// Sets how much later its jobs may run: [`JITTER_LIMIT`] at most.
    #[must_use]
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }
}
