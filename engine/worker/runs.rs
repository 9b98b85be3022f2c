//! Runs: quick jobs of one limit key that follow each other on one slot.
//!
//! A slot that changes hands costs four changes of rows. While jobs of a key wait in line, a claim takes some of them
//! with the one that has the slot. How many is learnt from what claims give, lane by lane.

use std::{collections::HashMap, time::Duration};

use super::pace::Room;
use crate::store::claim::Claimed;

/// The most jobs of a run.
const LONGEST: usize = 64;
/// How many claims in which nobody followed are made before it is tried again.
const REST: u32 = 8;

/// What one claimer knows of runs.
pub(super) struct Runs {
    /// How long all of a run may take.
    time: Duration,
    lanes: HashMap<i32, Lane>,
}

#[derive(Clone, Copy)]
struct Lane {
    /// How many jobs runs had on average lately; it falls by half a claim at most.
    average: usize,
    rest: u32,
}

impl Runs {
    pub(super) fn new(time: Duration) -> Self {
        Self { time, lanes: HashMap::new() }
    }

    /// How long the runs of each lane may be, `time` being how long its jobs run by themselves; empty, where none has
    /// any. Of lanes with runs the room is one of heads. Lines differ, so a run may be twice as long as they were lately; what
    /// is claimed in excess of the room is as much again at most.
    pub(super) fn plan(&self, room: &Room, time: impl Fn(i32) -> Option<Duration>) -> (Room, Vec<i32>) {
        let mut room = room.clone();
        let lengths: Vec<usize> = room.lanes.iter().map(|(lane, _)| self.length(*lane, time(*lane))).collect();
        let with_runs = lengths.iter().filter(|length| **length > 1).count();
        if with_runs == 0 {
            return (room, Vec::new());
        }
        for ((lane, quota), length) in room.lanes.iter_mut().zip(&lengths).filter(|(_, length)| **length > 1) {
            *quota = quota.div_ceil(self.lanes[lane].average.min(*length) * with_runs);
        }
        (room, lengths.into_iter().map(|length| length as i32).collect())
    }

    fn length(&self, lane: i32, time: Option<Duration>) -> usize {
        let (Some(known), Some(time)) = (self.lanes.get(&lane), time) else { return 1 };
        let by_time = self.time.as_micros() / time.as_micros().max(1);
        if known.rest > 0 { 1 } else { (known.average * 2).min(LONGEST).min(by_time as usize).max(1) }
    }

    /// Learns from what a claim gave that asked for runs of these lengths.
    pub(super) fn learn(&mut self, room: &Room, lengths: &[i32], jobs: &[Claimed]) {
        let mut seen: HashMap<i32, (usize, usize)> = HashMap::new();
        for job in jobs.iter().filter(|job| job.limited || job.in_run) {
            let (heads, all) = seen.entry(job.lane_id).or_default();
            *heads += 1;
            *all += 1 + job.followers.len();
        }
        for (lane, (heads, all)) in seen {
            let asked = room.lanes.iter().zip(lengths).find(|((id, _), _)| *id == lane).map_or(1, |(_, length)| *length as usize);
            let known = self.lanes.entry(lane).or_insert(Lane { average: 1, rest: 0 });
            if asked <= 1 {
                known.rest = known.rest.saturating_sub(1);
                continue;
            }
            *known = match known.average {
                1 if all == heads => Lane { average: 1, rest: REST },
                // The jobs of one claim may all be the last of their lines, while other lines are long.
                average => Lane { average: all.div_ceil(heads).max(average / 2), rest: 0 },
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Option<Duration> = Some(Duration::from_micros(20));

    fn claimed(heads: usize, followers: usize) -> Vec<Claimed> {
        let job = || Claimed { lane_id: 1, limited: true, ..Claimed::default() };
        (0..heads).map(|_| Claimed { followers: (0..followers).map(|_| job()).collect(), ..job() }).collect()
    }

    fn room() -> Room {
        Room { limit: 1000, lanes: vec![(1, 1000), (2, 1000)], new_lane: 10 }
    }

    /// Claims once where so many at most follow each; the length that was asked for, 1 for none.
    fn claim(runs: &mut Runs, most: usize) -> usize {
        let (room, lengths) = runs.plan(&room(), |_| QUICK);
        let length = lengths.first().map_or(1, |length| *length as usize);
        runs.learn(&room, &lengths, &claimed(10, most.min(length - 1)));
        length
    }

    #[test]
    fn runs_grow_while_jobs_wait_in_line_and_are_given_up_where_none_does() {
        let mut runs = Runs::new(Duration::from_millis(5));
        let lengths: Vec<usize> = (0..8).map(|_| claim(&mut runs, usize::MAX)).collect();
        assert_eq!(lengths, [1, 2, 4, 8, 16, 32, 64, 64]);
        assert_eq!((claim(&mut runs, 2), claim(&mut runs, 2), claim(&mut runs, 2)), (64, 64, 32), "three in all were there");
        assert_eq!((claim(&mut runs, 0), claim(&mut runs, usize::MAX)), (16, 8), "one claim without any is no proof");
        let lengths: Vec<usize> = (0..4).map(|_| claim(&mut runs, 0)).collect();
        assert_eq!(lengths, [16, 8, 4, 2], "given up");
        let lengths: Vec<usize> = (0..9).map(|_| claim(&mut runs, 0)).collect();
        assert_eq!(lengths, [1, 1, 1, 1, 1, 1, 1, 1, 2], "tried again after a while");
    }

    #[test]
    fn a_run_is_as_long_as_its_jobs_are_quick_and_quotas_count_its_heads() {
        let mut runs = Runs::new(Duration::from_millis(5));
        runs.lanes.insert(1, Lane { average: 32, rest: 0 });
        let plan = |average| {
            let (room, lengths) = runs.plan(&room(), |_| average);
            (lengths, room.lanes)
        };
        assert_eq!(plan(QUICK), (vec![64, 1], vec![(1, 32), (2, 1000)]));
        assert_eq!(plan(Some(Duration::from_millis(1))), (vec![5, 1], vec![(1, 200), (2, 1000)]));
        assert_eq!(plan(Some(Duration::from_millis(3))), (vec![], vec![(1, 1000), (2, 1000)]), "no time for two");
        assert_eq!(plan(None), (vec![], vec![(1, 1000), (2, 1000)]), "nothing is known yet");
    }
}
