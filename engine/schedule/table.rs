//! The program's table of schedules: what it may not say.

use std::collections::HashSet;

use super::{JITTER_LIMIT, Misfire, Schedule, SchedulerError, Timetable};

/// The longest name, in characters.
const NAME_LIMIT: usize = 200;

/// Refuses a table with a schedule that makes no sense, or with two of one name. [`Scheduler::run`](super::Scheduler::run) begins with
/// it; a test of the program finds out before.
///
/// ```
/// use chrono_tz::Europe::London;
/// use engine::schedule::{self, Schedule};
/// # use engine::{Job, JobResult, Outcome, Run};
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # struct Sweep {}
/// # impl Job for Sweep {
/// #     const KIND: &'static str = "demo.sweep";
/// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
/// # }
///
/// const SWEEP: Schedule = Schedule::of::<Sweep>("sweep", "30 6 * * MON-FRI", London, "Sweeps the yard");
/// assert!(schedule::validate(&[SWEEP]).is_ok());
/// let refused = schedule::validate(&[SWEEP, SWEEP]).expect_err("there are two");
/// assert_eq!(refused.to_string(), "schedule \"sweep\": another one has this name");
/// ```
///
/// # Errors
/// [`SchedulerError::Schedule`], of the first that is wrong.
pub fn validate(schedules: &[Schedule]) -> Result<(), SchedulerError> {
    let mut names = HashSet::new();
    for schedule in schedules {
        let refuse = |why: String| SchedulerError::Schedule { name: schedule.name, why };
        if !names.insert(schedule.name) {
            return Err(refuse("another one has this name".into()));
        }
        validate_one(schedule).map_err(refuse)?;
    }
    Ok(())
}

fn validate_one(schedule: &Schedule) -> Result<(), String> {
    if !(1..=NAME_LIMIT).contains(&schedule.name.chars().count()) || schedule.name.contains('\0') {
        return Err(format!("a name has 1 to {NAME_LIMIT} characters, and none of them is NUL"));
    }
    Timetable::new(schedule.cron, schedule.zone).map_err(|error| error.to_string())?;
    schedule.misfire.to_string().parse::<Misfire>()?;
    if schedule.jitter > JITTER_LIMIT {
        return Err(format!("a jitter is {} hours at most", JITTER_LIMIT.as_secs() / 3600));
    }
    let job = (schedule.job)().map_err(|error| format!("its job does not serialise: {error}"))?;
    job.check().map_err(|error| error.to_string())?;
    if job.unique.debounce.is_some() && !schedule.jitter.is_zero() {
        return Err("its job is debounced, which says when it runs: it has no jitter".into());
    }
    Ok(())
}
