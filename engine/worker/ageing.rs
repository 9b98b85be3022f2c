//! Ageing: a lane that was not looked at for a while counts as more urgent, so that none starves behind a stream of
//! urgent jobs.
//!
//! Claims look at lanes in the order of their priorities until they have enough. A lane that they do not get to gains one
//! priority for each step of its wait. So the longest wait for a look is (priority + 1) steps, whatever comes before it; it
//! costs the claim nothing, since each worker goes by its own clock and no row changes.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::store::claim::Claimed;

/// Since when this worker has not got to which lane.
pub(super) struct Ageing {
    step: Duration,
    since: HashMap<i32, Instant>,
}

impl Ageing {
    /// One priority for each `step`; none when that is zero.
    pub(super) fn new(step: Duration) -> Self {
        Self { step, since: HashMap::new() }
    }

    /// The lanes that count as more urgent now, and by how many priorities.
    pub(super) fn boosts(&self, now: Instant) -> HashMap<i32, i32> {
        if self.step.is_zero() {
            return HashMap::new();
        }
        let steps = |since: Instant| (now.duration_since(since).as_secs_f64() / self.step.as_secs_f64()).min(1000.0) as i32;
        self.since.iter().map(|(lane, since)| (*lane, steps(*since))).filter(|(_, steps)| *steps > 0).collect()
    }

    /// Learns from a claim over `lanes`, in the order in which it looked at them; `filled`: it stopped when it had enough.
    pub(super) fn learn(&mut self, lanes: &[i32], jobs: &[Claimed], filled: bool, now: Instant) {
        let last = lanes.iter().rposition(|lane| jobs.iter().any(|job| job.lane_id == *lane));
        let reached = if filled { last.map_or(0, |last| last + 1) } else { lanes.len() };
        self.reached(&lanes[..reached], &lanes[reached..], now);
    }

    /// Learns which lanes there are.
    pub(super) fn forget_others(&mut self, lanes: &[i32]) {
        self.since.retain(|lane, _| lanes.contains(lane));
    }

    /// Learns which lanes were looked at, and which were not.
    pub(super) fn reached(&mut self, reached: &[i32], others: &[i32], now: Instant) {
        for lane in reached {
            self.since.remove(lane);
        }
        for lane in others {
            self.since.entry(*lane).or_insert(now);
        }
        // A lane that is paused or gone waits for nothing: only those that were not reached stand here.
        if self.since.len() > others.len() {
            self.since.retain(|lane, _| others.contains(lane));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(lane_id: i32) -> Claimed {
        Claimed { lane_id, ..Claimed::default() }
    }

    #[test]
    fn a_lane_that_claims_do_not_get_to_overtakes_after_its_steps() {
        let (mut ageing, start) = (Ageing::new(Duration::from_secs(1)), Instant::now());
        ageing.learn(&[1, 2, 3], &[job(1), job(2)], true, start);
        assert!(ageing.boosts(start).is_empty());
        let later = start + Duration::from_millis(2500);
        ageing.learn(&[1, 2, 3], &[job(1)], true, later);
        assert_eq!(ageing.boosts(later), HashMap::from([(3, 2)]), "two was reached at first");
        let latest = start + Duration::from_millis(10_500);
        assert_eq!(ageing.boosts(latest), HashMap::from([(2, 8), (3, 10)]));
        ageing.learn(&[3, 2, 1], &[job(3)], true, latest);
        assert_eq!(ageing.boosts(latest), HashMap::from([(2, 8)]), "three had its turn");
    }

    #[test]
    fn nothing_waits_when_a_claim_found_all_there_was() {
        let (mut ageing, start) = (Ageing::new(Duration::from_secs(1)), Instant::now());
        ageing.learn(&[1, 2], &[job(1)], true, start);
        ageing.learn(&[1, 2], &[], false, start + Duration::from_secs(5));
        assert!(ageing.boosts(start + Duration::from_secs(9)).is_empty());
    }

    #[test]
    fn a_lane_that_is_paused_ages_no_more() {
        let (mut ageing, start) = (Ageing::new(Duration::from_secs(1)), Instant::now());
        ageing.learn(&[1, 2], &[job(1)], true, start);
        ageing.learn(&[1], &[job(1)], true, start);
        assert!(ageing.boosts(start + Duration::from_secs(9)).is_empty());
    }

    #[test]
    fn a_step_of_nothing_lets_priorities_rule() {
        let (mut ageing, start) = (Ageing::new(Duration::ZERO), Instant::now());
        ageing.learn(&[1, 2], &[job(1)], true, start);
        assert!(ageing.boosts(start + Duration::from_hours(1)).is_empty());
    }
}
