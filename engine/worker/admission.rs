//! Admission: lets jobs with a limit key into `ready` while their key has free slots.
//!
//! Each worker looks at what came to wait lately, a few times a second and whenever it has nothing else to do; one of
//! them at a time admits. Whoever ends a job hands its slot on by itself, so this deals with first jobs of keys and
//! with what that missed: a job that committed late, a cap that was raised. Those are found by walking from key to key.

use std::{
    collections::{HashSet, VecDeque},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use sqlx::PgConnection;
use tokio::sync::Mutex;

use crate::store::{
    limit::{self, Paced},
    waiting,
};

/// Arrivals are looked at again for so long: positions commit out of order, and a slot may have been freed by somebody
/// who could not see them yet.
const AGAIN: Duration = Duration::from_millis(250);
/// Others have seen, and admitted, what came earlier than this.
const OTHERS: Duration = Duration::from_secs(5);
/// The most jobs looked at in one statement.
const ARRIVALS: i64 = 10_000;
/// Rounds a look: a flood of one key passes quickly, and nobody waits for it longer.
const ROUNDS: usize = 20;
/// Keys of one step of the walk.
const KEYS: i32 = 1000;
/// How often it looks whether any key has a rate; while one has, it looks at each tick.
const PACE: Duration = Duration::from_secs(1);
/// The least time between two steps.
const WALK: Duration = Duration::from_millis(500);

/// How far one worker has looked.
pub(super) struct Admission {
    progress: Mutex<Progress>,
    /// Some key has a rate, or this worker does not know yet.
    paced: AtomicBool,
}

impl Default for Admission {
    fn default() -> Self {
        Self { progress: Mutex::default(), paced: AtomicBool::new(true) }
    }
}

#[derive(Default)]
struct Progress {
    /// The last position given out, at moments of the recent past.
    past: VecDeque<(Instant, i64)>,
    /// All above it has been looked at once.
    front: i64,
    walk: Walk,
    pace_after: Option<Instant>,
}

/// The walk from key to key, again and again.
#[derive(Default)]
struct Walk {
    /// The key it came to; it goes backwards.
    reached: Option<String>,
    /// When the next step may be.
    after: Option<Instant>,
    /// By which edition of limits and pauses it goes.
    edition: String,
    /// Whether it has admitted any job since it began, or limits have changed.
    found: bool,
    /// Whether neither was so the last time.
    in_vain: bool,
}

impl Walk {
    /// How much longer than a step the rest after it is, at least: a tenth of the time goes into walks that find something.
    fn rest(&self) -> u32 {
        if self.in_vain && !self.found { 25 } else { 10 }
    }

    fn step(&mut self, keys: &[String], admitted: i64) {
        self.found |= admitted > 0;
        match keys.last() {
            Some(last) if keys.len() as i32 == KEYS => self.reached = Some(last.clone()),
            _ => *self = Self { edition: std::mem::take(&mut self.edition), in_vain: !self.found, ..Self::default() },
        }
    }

    /// Goes on at once where limits or pauses have changed, to the end and then once more: any key may have free slots.
    fn hurry_by(&mut self, edition: String) {
        if edition != self.edition {
            (self.edition, self.after, self.found) = (edition, None, true);
        }
    }
}

impl Admission {
    /// Admits what arrived; returns how many jobs entered `ready`. Does nothing while another task of this worker is at it.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn look(&self, connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
        let Ok(mut progress) = self.progress.try_lock() else { return Ok(0) };
        let mut admitted = 0;
        let mut from = progress.floor(Instant::now());
        let mut full: HashSet<String> = HashSet::new();
        for _ in 0..ROUNDS {
            let arrivals = waiting::arrivals(connection, from, ARRIVALS).await?;
            progress.remember(arrivals.last_position, Instant::now());
            // A key that was admitted in this look has as many in as may be, whatever else of it arrived.
            let keys: Vec<String> = arrivals.keys.iter().filter(|key| !full.contains(*key)).cloned().collect();
            if !keys.is_empty() {
                let Some(entered) = waiting::admit(connection, &keys).await? else { break };
                admitted += entered;
                if entered >= waiting::most(&keys) {
                    // Some have to wait for the next look, which begins here.
                    break;
                }
                full.extend(keys);
            }
            if arrivals.seen < ARRIVALS {
                progress.front = arrivals.last_position;
                break;
            }
            from = arrivals.reached.unwrap_or(from);
            progress.front = from;
        }
        Ok(admitted)
    }

    /// Learns whether any key has a rate.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn learn(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.paced.store(limit::paced(connection, 0).await?.any, Ordering::Release);
        Ok(())
    }

    /// Whether runs of limited jobs have to be charged to a rate.
    pub(super) fn is_paced(&self) -> bool {
        self.paced.load(Ordering::Acquire)
    }

    /// Admits jobs of keys with a rate, as far as it has come; returns how many entered `ready`.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn pace(&self, connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
        let Ok(mut progress) = self.progress.try_lock() else { return Ok(0) };
        if progress.pace_after.is_some_and(|after| Instant::now() < after) {
            return Ok(0);
        }
        let Paced { any, keys, edition } = limit::paced(connection, i64::from(KEYS)).await?;
        self.paced.store(any, Ordering::Release);
        progress.pace_after = (!any).then(|| Instant::now() + PACE);
        progress.walk.hurry_by(edition);
        if keys.is_empty() { Ok(0) } else { Ok(waiting::admit(connection, &keys).await?.unwrap_or(0)) }
    }

    /// One step of the walk from key to key, when it is time; returns how many jobs entered `ready`.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn walk(&self, connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
        let Ok(mut progress) = self.progress.try_lock() else { return Ok(0) };
        let begun = Instant::now();
        if progress.walk.after.is_some_and(|after| begun < after) {
            return Ok(0);
        }
        let keys = waiting::keys(connection, progress.walk.reached.as_deref(), KEYS).await?;
        let admitted = if keys.is_empty() { Some(0) } else { waiting::admit(connection, &keys).await? };
        // Otherwise somebody else admits, and nobody has looked at these.
        if let Some(admitted) = admitted {
            progress.walk.step(&keys, admitted);
        }
        progress.walk.after = Some(Instant::now() + WALK.max(begun.elapsed() * progress.walk.rest()));
        Ok(admitted.unwrap_or(0))
    }
}

impl Progress {
    /// From where to look: above the front, and a little below it.
    fn floor(&self, now: Instant) -> i64 {
        let given_out = |ago| self.past.iter().rev().find(|(at, _)| now.duration_since(*at) >= ago).map_or(0, |(_, position)| *position);
        self.front.min(given_out(AGAIN)).max(given_out(OTHERS))
    }

    fn remember(&mut self, last_position: i64, now: Instant) {
        self.past.push_back((now, last_position));
        while self.past.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= OTHERS) {
            self.past.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_begins_a_little_below_the_front_and_never_at_what_others_have_seen() {
        let start = Instant::now();
        let mut progress = Progress::default();
        assert_eq!(progress.floor(start), 0, "the first look is at all that waits");
        progress.remember(100, start);
        progress.front = 100;
        assert_eq!(progress.floor(start + Duration::from_millis(100)), 0, "what has position 90 may commit yet");
        assert_eq!(progress.floor(start + Duration::from_millis(250)), 100);
        progress.remember(900, start + Duration::from_millis(250));
        assert_eq!(progress.floor(start + Duration::from_millis(600)), 100, "it has not looked above 100 yet");
        assert_eq!(progress.floor(start + Duration::from_secs(6)), 900, "others have, in the meantime");
    }

    #[test]
    fn the_walk_rests_longer_after_it_found_nothing_and_hurries_when_limits_change() {
        let keys = |from: i32, number: i32| -> Vec<String> { (from..from + number).map(|n| format!("key {:05}", 99_999 - n)).collect() };
        let mut walk = Walk::default();
        walk.step(&keys(0, KEYS), 7);
        assert_eq!((walk.reached.as_deref(), walk.rest()), (Some("key 99000"), 10));
        walk.step(&keys(KEYS, 3), 0);
        assert_eq!((walk.reached.as_deref(), walk.rest()), (None, 10), "it found some on its way");
        walk.step(&keys(0, KEYS), 0);
        assert_eq!(walk.rest(), 10, "it has not come to its end");
        walk.step(&[], 0);
        assert_eq!(walk.rest(), 25);
        walk.step(&keys(0, KEYS), 1);
        assert_eq!(walk.rest(), 10, "it finds some again");
        walk.step(&[], 0);
        walk.step(&[], 0);
        walk.step(&keys(0, KEYS), 0);
        walk.after = Some(Instant::now());
        walk.hurry_by("another".into());
        assert_eq!(
            (walk.reached.as_deref(), walk.after, walk.rest()),
            (Some("key 99000"), None, 10),
            "those before have their turn in the next one"
        );
        walk.step(&[], 0);
        assert_eq!(walk.rest(), 10);
        walk.hurry_by("another".into());
        walk.step(&[], 0);
        assert_eq!(walk.rest(), 25, "nothing has changed since");
    }
}
