//! How many jobs of each lane are worth holding: those that can run now, and ahead of them what handlers finish in 200 ms.
//!
//! Claiming hundreds at once pays for quick jobs. Of a job longer than that nothing is held ahead: it would wait for a
//! whole run here while another worker idles, and a claim costs it nothing. Quick and slow jobs are counted apart, so
//! that a backlog of quick ones never keeps the others out.

use std::{collections::HashMap, sync::Mutex, time::Duration};

const AHEAD: Duration = Duration::from_millis(200);

/// What is known of the lanes: how long their jobs run, and how many of them this worker holds.
#[derive(Default)]
pub(super) struct Pace {
    lanes: Mutex<HashMap<i32, Lane>>,
}

#[derive(Default, Clone, Copy)]
struct Lane {
    average_us: Option<f64>,
    undisturbed_us: Option<f64>,
    in_hand: usize,
}

impl Lane {
    /// The average run time of a lane whose jobs are held ahead.
    fn quick_us(&self) -> Option<f64> {
        self.average_us.map(|average| average.max(1.0)).filter(|average| *average <= AHEAD.as_micros() as f64)
    }
}

/// What a claim may take.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Room {
    /// In all.
    pub(super) limit: usize,
    /// Of each lane that this worker has met.
    pub(super) lanes: Vec<(i32, usize)>,
    /// Of each lane that it has not.
    pub(super) new_lane: usize,
}

impl Pace {
    /// This worker holds one more job of a lane.
    pub(super) fn took(&self, lane: i32) {
        self.lanes.lock().expect("no holder of this lock panics").entry(lane).or_default().in_hand += 1;
    }

    /// It holds one less.
    pub(super) fn ended(&self, lane: i32) {
        if let Some(lane) = self.lanes.lock().expect("no holder of this lock panics").get_mut(&lane) {
            lane.in_hand = lane.in_hand.saturating_sub(1);
        }
    }

    /// Learns one run time, from the beginning of an attempt to its end.
    pub(super) fn ran(&self, lane: i32, time: Duration) {
        let us = time.as_micros() as f64;
        let mut lanes = self.lanes.lock().expect("no holder of this lock panics");
        let lane = lanes.entry(lane).or_default();
        lane.average_us = Some(lane.average_us.map_or(us, |average| average + (us - average) / 16.0));
    }

    /// Learns how long one handler took by itself.
    pub(super) fn worked(&self, lane: i32, time: Duration) {
        let us = time.as_micros() as f64;
        let mut lanes = self.lanes.lock().expect("no holder of this lock panics");
        let lane = lanes.entry(lane).or_default();
        // A longer time may be that of others, of which many run at once.
        let towards = |known: f64| (us - known) / if us < known { 4.0 } else { 64.0 };
        lane.undisturbed_us = Some(lane.undisturbed_us.map_or(us, |known| known + towards(known)));
    }

    /// How long jobs of a lane run when nothing keeps their handlers waiting, as far as is known.
    pub(super) fn undisturbed(&self, lane: i32) -> Option<Duration> {
        let lanes = self.lanes.lock().expect("no holder of this lock panics");
        lanes.get(&lane)?.undisturbed_us.map(|us| Duration::from_micros(us as u64))
    }

    /// What a claim may take now, at `concurrency` and with at most `batch` jobs ahead of those that run.
    pub(super) fn room(&self, concurrency: usize, batch: usize) -> Room {
        let lanes = self.lanes.lock().expect("no holder of this lock panics");
        let held: usize = lanes.values().map(|lane| lane.in_hand).sum();
        let quick: usize = lanes.values().filter(|lane| lane.quick_us().is_some()).map(|lane| lane.in_hand).sum();
        let slow = held - quick;
        let busy_us: f64 = lanes.values().filter_map(|lane| Some(lane.quick_us()? * lane.in_hand as f64)).sum();
        // The handlers that slow jobs leave to quick ones, and the time for which these are busy already.
        let handlers = concurrency.saturating_sub(slow);
        let left_us = (AHEAD.as_micros() as f64 - busy_us / handlers.max(1) as f64).max(0.0);
        let free = concurrency.saturating_sub(held);

        let slow_free = if left_us > 0.0 { handlers } else { free };
        let slow_lanes = 1 + lanes.values().filter(|lane| lane.quick_us().is_none()).count();
        let share = slow_free.div_ceil(slow_lanes);
        let quota = |lane: &Lane| match lane.quick_us() {
            None => share,
            Some(average) => {
                let rounds = |us: f64| ((us / average) as usize).saturating_mul(handlers).min(batch);
                let ahead = rounds(left_us).min((batch + concurrency).saturating_sub(quick));
                // A small claim costs as much as a good one: wait until half a batch has room, unless handlers idle.
                if ahead >= rounds(AHEAD.as_micros() as f64) / 2 { ahead.max(free) } else { free }
            }
        };
        let mut quotas: Vec<(i32, usize)> = lanes.iter().map(|(id, lane)| (*id, quota(lane))).collect();
        quotas.sort_unstable();
        let limit = quotas.iter().map(|(_, quota)| *quota).max().unwrap_or(0).max(slow_free);
        Room { limit, lanes: quotas, new_lane: share }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(pace: &Pace, lane: i32, jobs: usize) {
        for _ in 0..jobs {
            pace.took(lane);
        }
    }

    fn quota(pace: &Pace, lane: i32) -> usize {
        pace.room(10, 500).lanes.into_iter().find(|(id, _)| *id == lane).map_or(0, |(_, quota)| quota)
    }

    #[test]
    fn nothing_is_held_ahead_of_long_jobs_and_a_batch_of_short_ones() {
        let pace = Pace::default();
        assert_eq!(pace.room(10, 500), Room { limit: 10, lanes: vec![], new_lane: 10 }, "nothing is known yet");
        pace.ran(1, Duration::from_secs(1));
        hold(&pace, 1, 10);
        assert_eq!(pace.room(10, 500).limit, 0, "every handler has a long job");
        pace.ended(1);
        assert_eq!(pace.room(10, 500).limit, 1);

        let pace = Pace::default();
        pace.ran(2, Duration::from_micros(20));
        assert_eq!(quota(&pace, 2), 500);
        hold(&pace, 2, 300);
        assert_eq!(quota(&pace, 2), 0, "less than half a batch has room");
        pace.ran(3, Duration::from_millis(80));
        assert_eq!(quota(&pace, 3), 20, "two whole rounds");
    }

    #[test]
    fn jobs_that_are_quick_by_themselves_are_known_among_many_and_slow_ones_are_not_taken_for_quick() {
        let pace = Pace::default();
        let after = |times: &[u64]| {
            (0..200).for_each(|n| pace.worked(1, Duration::from_micros(times[n % times.len()])));
            pace.undisturbed(1).expect("something has run").as_micros() as u64
        };
        let among_many = after(&[20, 900, 40, 1500]);
        assert!(among_many < 200, "{among_many}");
        let half_slow = after(&[20, 50_000]);
        assert!(half_slow > 2000, "{half_slow}");
    }

    #[test]
    fn a_backlog_of_quick_jobs_keeps_no_other_lane_out() {
        let pace = Pace::default();
        pace.ran(1, Duration::from_millis(5));
        hold(&pace, 1, 300);
        pace.ran(2, Duration::from_secs(1));
        assert!(quota(&pace, 2) > 0, "a slow lane");
        assert!(pace.room(10, 500).new_lane > 0, "a lane not met before");
    }

    #[test]
    fn quick_jobs_are_not_held_behind_slow_ones() {
        let pace = Pace::default();
        pace.ran(1, Duration::from_millis(5));
        pace.ran(2, Duration::from_secs(1));
        hold(&pace, 2, 10);
        assert_eq!(pace.room(10, 500).limit, 0);
    }
}
