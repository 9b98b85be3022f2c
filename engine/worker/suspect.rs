//! When a busy worker makes room for a suspect, which runs with nothing beside it.
//!
//! To do so it claims nothing until all that it holds has ended. On a worker of long jobs that takes long, so it gives
//! up and works on for a while; but each time it waits twice as long as before, so that every suspect has its turn, and
//! at most half of the time goes into waiting.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use rand::RngExt as _;
use sqlx::PgConnection;

use super::{claimer::Claimer, patience};
use crate::{planted::planted, store};

/// The first wait, in leases, and at most.
const FIRST_PATIENCE: u32 = 5;
const LONGEST_FIRST: Duration = Duration::from_secs(10);
/// No job that is worth waiting for runs longer.
const LONGEST_PATIENCE: Duration = Duration::from_hours(1);

/// When to try, and for how long.
pub(super) struct Turns {
    first: Duration,
    patience: Duration,
    not_before: Instant,
}

impl Turns {
    pub(super) fn new(lease: Duration, now: Instant) -> Self {
        let first = lease.saturating_mul(FIRST_PATIENCE).min(LONGEST_FIRST);
        Self { first, patience: first, not_before: now }
    }

    pub(super) fn may_begin(&self, now: Instant) -> bool {
        now >= self.not_before
    }

    /// How long to wait for the jobs in hand to end.
    pub(super) const fn patience(&self) -> Duration {
        self.patience
    }

    /// The jobs in hand did not end in time. It works on for `spread` times as long as it waited; workers that began to
    /// wait together do not do so again.
    pub(super) fn gave_up(&mut self, now: Instant, spread: f64) {
        self.not_before = now + self.patience.mul_f64(spread);
        self.patience = (self.patience * 2).min(LONGEST_PATIENCE);
    }

    /// Nothing was in hand any more.
    pub(super) const fn was_alone(&mut self) {
        self.patience = self.first;
    }
}

impl Claimer {
    /// Runs due suspects one at a time with nothing beside them, so that a death can be blamed on nobody else. A job
    /// that has ended counts until its end is recorded: the next suspect's death would lose it too.
    pub(super) async fn run_suspects(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let begun = Instant::now();
        let program = self.session.program.clone();
        while !self.session.is_over() && begun.elapsed() < self.turns.patience() {
            if !self.until_alone(Some(begun + self.turns.patience())).await {
                if self.session.suspects.load(Ordering::Acquire) {
                    self.turns.gave_up(Instant::now(), rand::rng().random_range(1.0..2.0));
                }
                break;
            }
            self.turns.was_alone();
            let asked = Instant::now();
            let taking = store::claim::take_alone(connection, self.session.worker_id, &program.kind_names, &program.queues);
            let Some(job) = patience::claim(&self.session, taking).await? else { break };
            self.hand_over(vec![job], asked);
            // However long it runs: whatever began beside it now would be blamed on it.
            self.until_alone(None).await;
        }
        self.session.suspects.store(false, Ordering::Release);
        Ok(())
    }

    /// Waits until nothing is in hand; false when that did not come in time, or another worker took the suspect meanwhile.
    async fn until_alone(&self, latest: Option<Instant>) -> bool {
        while !self.session.open_claims().is_empty() && !planted!("suspects run among others") {
            let in_vain = |latest| Instant::now() > latest || !self.session.suspects.load(Ordering::Acquire);
            if self.session.is_over() || latest.is_some_and(in_vain) {
                return false;
            }
            self.until_nudged(Duration::from_millis(20)).await;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_longer_than_the_last_and_work_is_done_between() {
        let start = Instant::now();
        let mut turns = Turns::new(Duration::from_secs(2), start);
        assert!(turns.may_begin(start));
        turns.gave_up(start, 1.5);
        assert!(!turns.may_begin(start + Duration::from_secs(14)));
        assert!(turns.may_begin(start + Duration::from_secs(15)));
        assert_eq!(turns.patience(), Duration::from_secs(20));
        turns.was_alone();
        assert_eq!(turns.patience(), Duration::from_secs(10));
    }
}
