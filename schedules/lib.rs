//! What runs when: every recurring job of the house in one table.
//!
//! Times are wall clock times of the zone; `engine::schedule::timetable` says what happens when clocks change. Operators
//! change all of it but names and jobs while the house runs: `rawops schedules`.

use chrono_tz::Europe::London;
use engine::schedule::Schedule;
use jobs::{alerts::ReportFailures, health::PruneEnqueueKeys, outbox::SweepMessages};

/// Every recurring job.
pub const SCHEDULES: &[Schedule] = &[
    Schedule::of::<SweepMessages>("process-email-outbox", "* * * * *", London, "Finds mails and events that wait without a job"),
    Schedule::of::<ReportFailures>("report-failures", "* * * * *", London, "Says in Slack what fails, and what fails no more"),
    Schedule::of::<PruneEnqueueKeys>("prune_enqueue_keys", "17 * * * *", London, "Forgets idempotency keys older than a week"),
];

#[cfg(test)]
mod tests {
    use engine::schedule::Settings;

    use super::*;

    #[test]
    fn every_schedule_has_a_name_of_its_own_a_line_that_parses_and_a_kind_that_workers_know() {
        let kinds = jobs::kinds().names();
        for (place, schedule) in SCHEDULES.iter().enumerate() {
            assert!(SCHEDULES[..place].iter().all(|other| other.name != schedule.name), "{}", schedule.name);
            assert!(kinds.iter().any(|kind| kind == schedule.kind), "{}", schedule.kind);
            Settings::of(schedule).timetable().unwrap_or_else(|error| panic!("{}: {error}", schedule.name));
            (schedule.job)().expect("the arguments serialise");
        }
    }
}
