//! When a schedule was last due.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use croner::Cron;

use crate::Schedule;

/// A line of the table that does not say when.
#[derive(Debug, thiserror::Error)]
#[error("schedule {name}: `{cron}` is no time that comes: {reason}")]
pub struct CronError {
    name: &'static str,
    cron: &'static str,
    reason: croner::errors::CronError,
}

impl Schedule {
    /// The latest occurrence at or before `now`.
    ///
    /// # Errors
    /// When the line does not parse, or never comes.
    pub fn latest(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, CronError> {
        let local = now.with_timezone(&self.zone);
        let found = Cron::from_str(self.cron).and_then(|cron| cron.find_previous_occurrence(&local, true));
        let found = found.map_err(|reason| CronError { name: self.name, cron: self.cron, reason })?;
        Ok(found.with_timezone(&Utc))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::TimeDelta;
    use chrono_tz::Europe::London;

    use super::*;

    fn at(cron: &'static str) -> Schedule {
        Schedule { cron, zone: London, ..crate::SCHEDULES[0] }
    }

    /// What a scheduler that looks every 20 seconds fires in these hours.
    fn fired(cron: &'static str, from: &str, hours: i64) -> Vec<String> {
        let from: DateTime<Utc> = from.parse().expect("a moment");
        let looks = (0..=hours * 180).map(|n| from + TimeDelta::seconds(20 * n));
        let latest: BTreeSet<DateTime<Utc>> = looks.map(|now| at(cron).latest(now).expect("a line that parses")).collect();
        latest.into_iter().filter(|occurrence| *occurrence >= from).map(|moment| moment.format("%dT%H:%M").to_string()).collect()
    }

    #[test]
    fn an_occurrence_is_due_from_its_very_second_on() {
        let now: DateTime<Utc> = "2026-01-10T12:17:00Z".parse().expect("a moment");
        assert_eq!(at("17 * * * *").latest(now).expect("it parses"), now);
        assert_eq!(at("17 * * * *").latest(now - TimeDelta::milliseconds(1)).expect("it parses"), now - TimeDelta::hours(1));
    }

    #[test]
    fn summer_time_is_respected() {
        assert_eq!(fired("0 6 * * *", "2026-07-01T00:00:00Z", 24), ["01T05:00"]);
        assert_eq!(fired("0 6 * * *", "2026-01-01T00:00:00Z", 24), ["01T06:00"]);
    }

    #[test]
    fn a_time_that_does_not_exist_runs_once_at_the_end_of_the_gap() {
        assert_eq!(fired("30 1 * * *", "2026-03-28T00:00:00Z", 72), ["28T01:30", "29T01:00", "30T00:30"]);
    }

    #[test]
    fn a_time_of_day_that_comes_twice_runs_once() {
        assert_eq!(fired("30 1 * * *", "2026-10-24T00:00:00Z", 72), ["24T00:30", "25T00:30", "26T01:30"]);
    }

    #[test]
    fn an_hourly_line_runs_in_every_hour_there_is() {
        assert_eq!(fired("17 * * * *", "2026-10-25T00:00:00Z", 3), ["25T00:17", "25T01:17", "25T02:17"]);
        assert_eq!(fired("17 * * * *", "2026-03-29T00:00:00Z", 3), ["29T00:17", "29T01:17", "29T02:17"]);
    }
}
