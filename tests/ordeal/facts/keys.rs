//! Unique keys: which job had one, and when.

use super::{Facts, Job};

/// What two clocks of one machine may differ by, in microseconds.
const TOLERANCE_US: i64 = 60_000;
/// For so long a job may have its key after the moment that is written as its end.
const ENDING_US: i64 = 2_000_000;
/// And for so long where the server was away: the commit of the end waits for a standby, or for a server that comes up.
const ENDING_OF_STRUCK_US: i64 = 10_000_000;

impl Facts {
    /// Whether a job had the unique key of its kind at a moment of this time, by the clock of all.
    pub fn had_key(&self, job: &Job, kind: &str, key: &str, from_us: i64, to_us: i64) -> bool {
        let at = |time| self.by_the_clock_of_all(time);
        let ended = self.end_of(job.id).and_then(|end| at(end.finished_at));
        let ending_us = if self.was_away(from_us - ENDING_OF_STRUCK_US, to_us) { ENDING_OF_STRUCK_US } else { ENDING_US };
        job.kind == kind
            && job.unique_key.as_deref() == Some(key)
            && at(job.created_at).is_none_or(|made_us| made_us < to_us + TOLERANCE_US)
            && ended.is_none_or(|ended_us| ended_us > from_us - ending_us)
    }
}
