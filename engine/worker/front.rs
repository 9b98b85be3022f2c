//! When claims look in front of the lanes, for what was claimed and given back.
//!
//! What was taken from there has left dead entries, and under a long-open snapshot nothing can sweep them away: so a claimer
//! that always finds something does not look there each time.

use std::time::{Duration, Instant};

/// How often it looks where claims are quick.
const QUICK: Duration = Duration::from_millis(100);
/// How often it looks where they are slow.
const SLOW: Duration = Duration::from_secs(1);

/// What one claimer remembers of it.
pub(super) struct Front {
    looked: Instant,
    every: Duration,
}

impl Front {
    pub(super) const fn new(now: Instant) -> Self {
        Self { looked: now, every: QUICK }
    }

    /// Whether a claim looks there, at the latest when its time has come, and always while nothing is found.
    pub(super) fn looks(&mut self, is_idle: bool, now: Instant) -> bool {
        let looks = is_idle || now.duration_since(self.looked) >= self.every;
        if looks {
            self.looked = now;
        }
        looks
    }

    /// Learns how long a claim took that looked there: looks are to cost a twentieth of the time.
    pub(super) fn learn(&mut self, took: Duration) {
        self.every = (took * 20).clamp(QUICK, SLOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_claimer_looks_ten_times_a_second_and_once_where_that_is_slow() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut front = Front::new(start);
        let looks: Vec<u64> = (0..500).step_by(10).filter(|ms| front.looks(false, at(*ms))).collect();
        assert_eq!(looks, [100, 200, 300, 400]);
        front.learn(Duration::from_millis(20));
        assert!(!front.looks(false, at(790)) && front.looks(false, at(800)));
        front.learn(Duration::from_secs(10));
        assert!(!front.looks(false, at(1790)) && front.looks(false, at(1800)));
    }

    #[test]
    fn an_idle_claimer_looks_each_time() {
        let start = Instant::now();
        let mut front = Front::new(start);
        assert!(front.looks(true, start) && front.looks(true, start));
        assert!(!front.looks(false, start));
    }
}
