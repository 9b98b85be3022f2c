//! What runs when: every recurring job of the house in one table.
//!
//! Times are wall clock times of the zone. On the night the clocks go forward a time that does not exist runs at the
//! end of the gap; on the night they go back a time of day that comes twice runs at its first coming, while an hourly
//! line runs in both hours.

mod occurrence;

use chrono_tz::{Europe::London, Tz};
use engine::{Job, NewJob};
use jobs::health::PruneEnqueueKeys;

pub use occurrence::CronError;

/// A job that recurs.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Its name in `raw_ops.cron_jobs_metadata`. Renaming it starts its history anew.
    pub name: &'static str,
    /// When: minute, hour, day of the month, month, day of the week.
    pub cron: &'static str,
    /// Whose wall clock.
    pub zone: Tz,
    /// What it is for.
    pub description: &'static str,
    /// The kind of its jobs.
    pub kind: &'static str,
    /// One of its jobs.
    pub job: fn() -> Result<NewJob, serde_json::Error>,
}

/// Every recurring job.
pub const SCHEDULES: &[Schedule] =
    &[recurring::<PruneEnqueueKeys>("prune_enqueue_keys", "17 * * * *", London, "Forgets idempotency keys older than a week")];

const fn recurring<J: Job + Default>(name: &'static str, cron: &'static str, zone: Tz, description: &'static str) -> Schedule {
    Schedule { name, cron, zone, description, kind: J::KIND, job: || NewJob::of(&J::default()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_has_a_name_of_its_own_a_line_that_parses_and_a_kind_that_workers_know() {
        let kinds = jobs::kinds().names();
        for (place, schedule) in SCHEDULES.iter().enumerate() {
            assert!(SCHEDULES[..place].iter().all(|other| other.name != schedule.name), "{}", schedule.name);
            assert!(kinds.iter().any(|kind| kind == schedule.kind), "{}", schedule.kind);
            schedule.latest(chrono::Utc::now()).unwrap_or_else(|error| panic!("{error}"));
            (schedule.job)().expect("the arguments serialise");
        }
    }
}
