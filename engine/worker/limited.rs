//! The lanes whose queue or kind is limited: what is claimed there is counted under a lock.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use sqlx::PgConnection;

use super::{
    ageing::Ageing,
    floor::{Floors, Look},
    pace::Room,
    patience,
    session::Session,
};
use crate::store::{
    self,
    claim::{Claimed, WantedLimited},
};

/// How long limited lanes are left alone that gave nothing.
const PAUSE: Duration = Duration::from_millis(10);
/// The same, when a rate asks for longer: the limit may be raised.
const LONGEST: Duration = Duration::from_millis(250);

/// What one claimer knows of them.
pub(super) struct Limited {
    lanes: Vec<i32>,
    /// Of several lanes under one limit each has its turn.
    ageing: Ageing,
    not_before: Option<Instant>,
    /// They took all the room there was the last time.
    others_first: bool,
    /// When a rate has something again.
    rate_at: Option<Instant>,
    /// Looks further back that are still to be made: nobody looks in a lane whose limit leaves no place, or is locked.
    owed: HashMap<i32, Look>,
}

impl Limited {
    pub(super) fn new(step: Duration) -> Self {
        let ageing = Ageing::new(step);
        Self { lanes: Vec::new(), ageing, not_before: None, others_first: false, rate_at: None, owed: HashMap::new() }
    }

    /// The lanes that count as more urgent now, and by how many priorities.
    pub(super) fn boosts(&self, now: Instant) -> HashMap<i32, i32> {
        self.ageing.boosts(now)
    }

    /// Whether the other lanes have their turn first, this time.
    pub(super) fn come_last(&mut self) -> bool {
        std::mem::take(&mut self.others_first)
    }

    /// Takes note of what a claim of the others saw.
    pub(super) fn learn(&mut self, lanes: Vec<i32>) {
        self.owed.retain(|lane, _| lanes.contains(lane));
        self.ageing.forget_others(&lanes);
        self.lanes = lanes;
    }

    fn owe(&mut self, look: Look) {
        if look > Look::On {
            for lane in &self.lanes {
                let owed = self.owed.entry(*lane).or_insert(look);
                *owed = look.max(*owed);
            }
        }
    }

    /// How long it is until a rate has something again.
    pub(super) fn until_rate(&self) -> Option<Duration> {
        self.rate_at.map(|time| time.saturating_duration_since(Instant::now())).filter(|wait| !wait.is_zero())
    }

    /// Claims at most `most` jobs there, unless nothing is wanted or nothing was left a moment ago.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn take(
        &mut self,
        session: &Session,
        floors: &mut Floors,
        connection: &mut PgConnection,
        (room, look, in_front, most): (&Room, Look, bool, usize),
    ) -> Result<Vec<Claimed>, sqlx::Error> {
        self.owe(look);
        if self.not_before.is_some_and(|time| Instant::now() < time) {
            return Ok(Vec::new());
        }
        let look = |lane| self.owed.get(&lane).copied().unwrap_or(Look::On);
        let quota = |lane: i32| room.lanes.iter().find(|(id, _)| *id == lane).map_or(room.new_lane, |(_, quota)| *quota) as i64;
        let lanes = self.lanes.iter().map(|lane| (*lane, floors.of(*lane, look(*lane)), quota(*lane)));
        let lanes: Vec<_> = lanes.filter(|(.., quota)| *quota > 0).collect();
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = WantedLimited { worker_id: session.worker_id, limit: most as i64, lanes, in_front };
        let taken = patience::claim(session, store::claim::take_limited(connection, &wanted)).await?;
        floors.learn_limited(look, &taken.jobs);
        self.owed.retain(|lane, _| !taken.looked.contains(lane));
        let (reached, left): (Vec<i32>, Vec<i32>) =
            wanted.lanes.iter().map(|(lane, ..)| *lane).partition(|lane| taken.looked.contains(lane));
        self.ageing.reached(&reached, &left, Instant::now());
        // Where nothing was left they are left alone for a moment; after a claim that left no room, the other lanes come first.
        let idle = taken.jobs.is_empty();
        self.others_first = taken.jobs.len() >= most;
        let pause = taken.wait.unwrap_or(PAUSE).min(LONGEST);
        self.not_before = idle.then(|| Instant::now() + pause);
        self.rate_at = taken.wait.map(|_| Instant::now() + pause);
        Ok(taken.jobs)
    }
}
