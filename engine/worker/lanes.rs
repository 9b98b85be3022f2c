//! What a claim is told of lanes, and whether it left anything in them.

use std::collections::HashMap;

use super::pace::Room;
use crate::store::claim::Claimed;

/// What a claim is told of the lanes that this worker knows something of.
#[derive(Default)]
pub(super) struct Lanes {
    pub(super) ids: Vec<i32>,
    pub(super) quotas: Vec<Option<i64>>,
    pub(super) boosts: Vec<i32>,
    /// Empty, where no lane has runs.
    pub(super) runs: Vec<i32>,
}

impl Lanes {
    pub(super) fn of(room: &Room, runs: &[i32], mut boosts: HashMap<i32, i32>) -> Self {
        let mut lanes = Self::default();
        for (lane, quota) in &room.lanes {
            lanes.add(*lane, Some(*quota as i64), boosts.remove(lane).unwrap_or(0));
        }
        for (lane, boost) in boosts {
            lanes.add(lane, None, boost);
        }
        if !runs.is_empty() {
            lanes.runs = runs.to_vec();
            lanes.runs.resize(lanes.ids.len(), 1);
        }
        lanes
    }

    fn add(&mut self, lane: i32, quota: Option<i64>, boost: i32) {
        self.ids.push(lane);
        self.quotas.push(quota);
        self.boosts.push(boost);
    }
}

impl Room {
    /// Whether no lane gave all that it was asked for, so that nothing is left in any.
    pub(super) fn is_exhausted_by(&self, jobs: &[Claimed], limit: usize) -> bool {
        let of_lane = |lane| jobs.iter().filter(|job| job.lane_id == lane).count();
        let known = |lane: i32| self.lanes.iter().any(|(id, _)| *id == lane);
        jobs.len() < limit
            && self.lanes.iter().all(|(lane, quota)| of_lane(*lane) < *quota)
            && jobs.iter().all(|job| known(job.lane_id) || of_lane(job.lane_id) < self.new_lane)
    }
}
