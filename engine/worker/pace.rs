//! How many jobs of each lane are worth holding: whole rounds of handlers that end within 200 ms, beyond those that run.
//!
//! Claiming hundreds at once pays for small jobs. Of a job longer than that nothing is held ahead: it would wait for
//! a whole run here while another worker idles, and a claim costs it nothing.

use std::{collections::HashMap, sync::Mutex, time::Duration};

const AHEAD: Duration = Duration::from_millis(200);

/// The moving average of run times, one a lane.
#[derive(Default)]
pub(super) struct Pace {
    average_us: Mutex<HashMap<i32, f64>>,
}

impl Pace {
    /// Learns one run time.
    pub(super) fn ran(&self, lane: i32, time: Duration) {
        let us = time.as_micros() as f64;
        let mut averages = self.average_us.lock().expect("no holder of this lock panics");
        averages.entry(lane).and_modify(|average| *average += (us - *average) / 16.0).or_insert(us);
    }

    /// How many jobs of `lane` to hold at `concurrency`, at most `batch` beyond those that run.
    pub(super) fn worth_holding(&self, lane: i32, concurrency: usize, batch: usize) -> usize {
        let averages = self.average_us.lock().expect("no holder of this lock panics");
        let rounds = averages.get(&lane).map_or(0.0, |average| (AHEAD.as_micros() as f64 / average.max(1.0)).floor());
        concurrency + (rounds as usize).saturating_mul(concurrency).min(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_jobs_are_not_held_ahead_and_short_ones_by_the_batch() {
        let pace = Pace::default();
        assert_eq!(pace.worth_holding(1, 10, 500), 10, "nothing is known yet");
        pace.ran(1, Duration::from_secs(1));
        assert_eq!(pace.worth_holding(1, 10, 500), 10);
        pace.ran(2, Duration::from_millis(80));
        assert_eq!(pace.worth_holding(2, 10, 500), 30);
        pace.ran(3, Duration::from_micros(20));
        assert_eq!(pace.worth_holding(3, 10, 500), 510);
    }
}
