//! The floors: below which position of a lane nothing is left to claim.
//!
//! A claim that began at the left edge of the index would step over every entry that earlier claims left dead,
//! and under a long-open snapshot nothing can sweep them away: measured, the rate falls to a tenth in a minute. So
//! each claimer remembers how far it has come. Positions commit out of order, so a floor may rise only to a
//! position below which no open transaction can still add one: transactions take their id before their first
//! position, so once everything below the id counter of a moment has ended, the positions of that moment are final.
//! What was claimed and given back stands below zero, where no floor is: claims look there besides.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use crate::{
    planted::planted,
    store::claim::{Claimed, Snapshot},
};

/// A transaction open for longer than this holds floors back no more; what it adds is found by looking again.
const PATIENCE: Duration = Duration::from_secs(1);
/// A claim that fails ends long before this, and what it put back stands above the floors of then.
const BACK: Duration = Duration::from_secs(15);

/// At this moment positions up to `position` were given out, all to transactions below `xmax`.
struct Checkpoint {
    position: i64,
    xmax: i64,
    taken: Instant,
}

/// How far a claimer has come in one lane.
#[derive(Default, Clone, Copy)]
struct Lane {
    /// Nothing at or below it can be left, or come.
    safe: i64,
    /// Nothing at or below it was left when last looked.
    hasty: i64,
}

impl Lane {
    /// A claim looked from a position and took all up to another, the highest there is where it left nothing.
    fn rise(&mut self, (from, to): (i64, i64), safe: i64, old: i64) {
        // A long transaction may have ended: what it added between the two floors was not looked at from the hasty one.
        if from <= self.safe {
            self.safe = self.safe.max(to.min(safe));
        }
        self.hasty = self.hasty.max(to.min(old));
        // A look further back may have left more behind what it took, and the next claims go on there.
        *self = Self { safe: self.safe.min(to), hasty: self.hasty.min(to) };
    }
}

/// How far a claimer has come in each lane.
#[derive(Default)]
pub(super) struct Floors {
    lanes: HashMap<i32, Lane>,
    checkpoints: VecDeque<Checkpoint>,
    last_position: Option<i64>,
    safe_position: i64,
    old_position: i64,
    /// Where the floors stood, once a second, for as long as [`BACK`] reaches.
    past: VecDeque<(Instant, HashMap<i32, i64>)>,
}

impl Floors {
    /// The floor to claim from: 0 to look everywhere, the safe one to look again, else the hasty one.
    pub(super) fn of(&self, lane: i32, look: Look) -> i64 {
        let known = self.lanes.get(&lane).copied().unwrap_or_default();
        match look {
            Look::On => known.hasty.max(known.safe),
            Look::Again => known.safe,
            Look::Back if planted!("a floor passes open transactions") => known.safe,
            Look::Back => self.long_ago().and_then(|floors| floors.get(&lane).copied()).unwrap_or(0).min(known.safe),
            Look::Everywhere => 0,
        }
    }

    /// Whether a long transaction holds the safe floors back, so that looking again may find something.
    pub(super) fn is_hasty(&self) -> bool {
        self.lanes.values().any(|lane| lane.hasty > lane.safe)
    }

    /// Learns from one claim that looked so: how far its jobs go in each lane; `exhausted` when it got less than it asked of any lane.
    pub(super) fn learn(&mut self, snapshot: &Snapshot, look: Look, jobs: &[Claimed], exhausted: bool, now: Instant) {
        // Before the checkpoints: those of this claim say nothing of where it began.
        let mut came = self.come_to(|_| look, jobs);
        if exhausted {
            let all = snapshot.lanes.iter().filter(|lane| self.lanes.contains_key(lane) || came.contains_key(lane));
            let all: Vec<_> = all.map(|lane| (*lane, (self.of(*lane, look), i64::MAX))).collect();
            came.extend(all);
        }
        self.advance_checkpoints(snapshot, now);
        let safe = if planted!("a floor passes open transactions") { snapshot.last_position } else { self.safe_position };
        self.rise(came, safe);
        self.remember(now);
    }

    /// Learns from a claim in limited lanes, which was made at a snapshot of its own: only what was final before is so for it.
    pub(super) fn learn_limited(&mut self, look: impl Fn(i32) -> Look, jobs: &[Claimed]) {
        let came = self.come_to(look, jobs);
        self.rise(came, self.safe_position);
    }

    /// Each lane with jobs: where a claim began to look, and the last position that it took.
    fn come_to(&self, look: impl Fn(i32) -> Look, jobs: &[Claimed]) -> HashMap<i32, (i64, i64)> {
        let mut came: HashMap<i32, (i64, i64)> = HashMap::new();
        for job in jobs.iter().filter(|job| job.position > 0) {
            let (_, last) = came.entry(job.lane_id).or_insert_with(|| (self.of(job.lane_id, look(job.lane_id)), 0));
            *last = (*last).max(job.position);
        }
        came
    }

    fn rise(&mut self, came: HashMap<i32, (i64, i64)>, safe: i64) {
        for (lane, (from, to)) in came {
            self.lanes.entry(lane).or_default().rise((from, to), safe, self.old_position);
        }
    }

    fn remember(&mut self, now: Instant) {
        if self.past.back().is_some_and(|(at, _)| now.duration_since(*at) < Duration::from_secs(1)) {
            return;
        }
        self.past.push_back((now, self.lanes.iter().map(|(id, lane)| (*id, lane.hasty.max(lane.safe))).collect()));
        while self.past.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= BACK) {
            self.past.pop_front();
        }
    }

    /// The floors of [`BACK`] ago, if this claimer is that old.
    fn long_ago(&self) -> Option<&HashMap<i32, i64>> {
        let (oldest, floors) = self.past.front()?;
        (self.past.back()?.0.duration_since(*oldest) >= BACK).then_some(floors)
    }

    fn advance_checkpoints(&mut self, snapshot: &Snapshot, now: Instant) {
        while let Some(first) = self.checkpoints.front() {
            let final_ = first.xmax <= snapshot.xmin;
            let old = now.duration_since(first.taken) >= PATIENCE;
            if final_ {
                self.safe_position = self.safe_position.max(first.position);
            }
            if final_ || old {
                self.old_position = self.old_position.max(first.position);
            }
            // An old checkpoint that is not final yet is kept apart no more: a later one will speak for it.
            if final_ || (old && self.checkpoints.len() > 1) {
                self.checkpoints.pop_front();
            } else {
                break;
            }
        }
        // The position was read by the last call, so every transaction that had one by then is below this xmax.
        if let Some(position) = self.last_position.replace(snapshot.last_position) {
            let grown = self.checkpoints.back().is_none_or(|last| last.position < position);
            if grown {
                self.checkpoints.push_back(Checkpoint { position, xmax: snapshot.xmax, taken: now });
            }
        }
    }
}

/// How far back a claim looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Look {
    /// From where the last claim stopped.
    On,
    /// From where a long transaction may still have added something.
    Again,
    /// From where it stood a while ago: also what a claim that failed half-way put back.
    Back,
    /// From the left edge.
    Everywhere,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(xmin: i64, xmax: i64, last_position: i64) -> Snapshot {
        Snapshot { xmin, xmax, last_position, lanes: vec![7], limited: vec![] }
    }

    fn job(position: i64) -> Claimed {
        Claimed { claim_id: 1, lane_id: 7, position, job_id: crate::JobId(position), attempt: 1, ..Claimed::default() }
    }

    #[test]
    fn a_floor_waits_for_the_transactions_that_may_still_add_below_it() {
        let start = Instant::now();
        let mut floors = Floors::default();
        floors.learn(&snapshot(100, 105, 50), Look::On, &[job(50)], false, start);
        assert_eq!(floors.of(7, Look::On), 0, "the first claim has nothing to compare with");
        floors.learn(&snapshot(100, 110, 60), Look::On, &[job(60)], false, start);
        assert_eq!(floors.of(7, Look::On), 0, "transaction 100 is still open and may hold position 49");
        floors.learn(&snapshot(110, 112, 70), Look::On, &[job(70)], false, start);
        assert_eq!(floors.of(7, Look::On), 50, "all that had positions up to 50 have ended");
    }

    #[test]
    fn a_floor_never_passes_what_was_not_claimed() {
        let start = Instant::now();
        let mut floors = Floors::default();
        for turn in 0..4 {
            floors.learn(&snapshot(100 + turn * 10, 101 + turn * 10, 1000), Look::On, &[job(10)], false, start);
        }
        assert_eq!(floors.of(7, Look::On), 10);
    }

    #[test]
    fn a_long_transaction_makes_floors_hasty_and_looking_again_starts_below_it() {
        let floors = hasty(Instant::now());
        assert_eq!(floors.of(7, Look::Back), 0);
        assert!(floors.is_hasty());
        assert!(floors.of(7, Look::On) >= 60);
        assert_eq!(floors.of(7, Look::Again), 0);
        assert_eq!(floors.of(7, Look::Everywhere), 0);
    }

    /// Floors of claims that went on above the positions of a transaction that is open for longer than a second.
    fn hasty(start: Instant) -> Floors {
        let mut floors = Floors::default();
        for turn in 0..5_i64 {
            let now = start + Duration::from_millis(600) * turn as u32;
            floors.learn(&snapshot(100, 110 + turn, 50 + 10 * turn), Look::On, &[job(50 + 10 * turn)], false, now);
        }
        floors
    }

    #[test]
    fn what_a_long_transaction_added_is_not_passed_when_it_ends_before_anybody_looked_again() {
        let start = Instant::now();
        let mut floors = hasty(start);
        let ended = snapshot(200, 200, 100);
        floors.learn(&ended, Look::On, &[job(100)], false, start + Duration::from_secs(3));
        floors.learn(&ended, Look::On, &[], true, start + Duration::from_secs(3));
        assert_eq!(floors.of(7, Look::Again), 0);
        floors.learn(&ended, Look::Again, &[], true, start + Duration::from_secs(4));
        assert_eq!(floors.of(7, Look::Again), 100, "nothing was left there");
    }

    #[test]
    fn claims_go_on_where_a_look_further_back_left_more_than_it_took() {
        let start = Instant::now();
        for look in [Look::Again, Look::Back, Look::Everywhere] {
            let mut floors = hasty(start);
            floors.learn(&snapshot(200, 200, 100), look, &[job(5)], false, start + Duration::from_secs(3));
            assert_eq!(floors.of(7, Look::On), 5, "{look:?}");
            floors.learn(&snapshot(200, 200, 100), Look::On, &[job(85)], false, start + Duration::from_secs(3));
            assert_eq!((floors.of(7, Look::On), floors.is_hasty()), (85, false), "{look:?}");
        }
    }

    #[test]
    fn a_claim_in_limited_lanes_trusts_only_what_was_final_before_it() {
        let start = Instant::now();
        let mut floors = hasty(start);
        floors.learn_limited(|_| Look::Again, &[job(80)]);
        assert_eq!(floors.of(7, Look::Again), 0, "the long transaction is still open");
        floors.learn(&snapshot(200, 200, 100), Look::On, &[], false, start + Duration::from_secs(3));
        floors.learn_limited(|_| Look::Again, &[job(75)]);
        assert_eq!(floors.of(7, Look::Again), 75);
    }

    #[test]
    fn an_exhausted_lane_rises_to_the_safe_position_without_claims_of_its_own() {
        let start = Instant::now();
        let mut floors = Floors::default();
        floors.learn(&snapshot(1, 2, 5), Look::On, &[job(5)], false, start);
        for turn in 1..4 {
            floors.learn(&snapshot(10 * turn, 10 * turn, 1000), Look::On, &[], true, start);
        }
        assert_eq!(floors.of(7, Look::On), 1000);
    }

    #[test]
    fn a_paused_lane_keeps_its_floor() {
        let start = Instant::now();
        let mut floors = Floors::default();
        floors.learn(&snapshot(1, 2, 5), Look::On, &[job(5)], false, start);
        for turn in 1..4 {
            let paused = Snapshot { lanes: vec![], ..snapshot(10 * turn, 10 * turn, 1000) };
            floors.learn(&paused, Look::On, &[], true, start);
        }
        assert_eq!(floors.of(7, Look::On), 0);
    }

    #[test]
    fn looking_back_reaches_what_was_claimed_in_the_last_quarter_of_a_minute() {
        let start = Instant::now();
        let mut floors = Floors::default();
        for second in 0..40 {
            let id = 100 + second;
            floors.learn(&snapshot(id, id, 10 * second), Look::On, &[job(10 * second)], false, start + Duration::from_secs(second as u64));
        }
        let back = floors.of(7, Look::Back);
        assert!((150..=240).contains(&back), "{back}");
        assert!(floors.of(7, Look::On) > 350);
    }
}
