//! Turns: a system is called no more often than it takes, and not at all while it asked to be left alone.
//!
//! Each process keeps to its own pace. What the fleet does too much of is refused with 429, which holds every process
//! that meets with it for as long as was asked.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The longest that a call waits for its turn; it is better put off than longer in a worker's way.
const LONGEST_TURN: Duration = Duration::from_secs(3);

/// How much slower it goes after a hold, for as long again but a minute at most. What gathered meanwhile, on top of what
/// other processes send, would be too much at once.
const AFTER_A_HOLD: u32 = 4;
const LONGEST_SLOW: Duration = Duration::from_mins(1);

/// The pace of one system, or of one channel of it.
#[derive(Debug)]
pub struct Pace {
    spacing: Duration,
    turns: Mutex<Turns>,
}

#[derive(Debug, Default)]
struct Turns {
    next: Option<Instant>,
    held_until: Option<Instant>,
    holds: u64,
    slow_until: Option<Instant>,
}

impl Pace {
    /// So many calls a second.
    pub fn per_second(calls: f64) -> Self {
        Self { spacing: Duration::try_from_secs_f64(1.0 / calls).unwrap_or(Duration::ZERO), turns: Mutex::default() }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// How long it would take, when that is too long to wait here; no turn is taken then.
    pub async fn turn(&self) -> Result<(), Duration> {
        loop {
            let (turn, holds) = self.take(Instant::now())?;
            tokio::time::sleep_until(turn).await;
            // It may have asked to be left alone since.
            if self.lock().holds == holds {
                return Ok(());
            }
        }
    }

    /// The next turn, and how many holds there were before it was given.
    fn take(&self, now: Instant) -> Result<(Instant, u64), Duration> {
        let mut turns = self.lock();
        let turn = turns.next.map_or(now, |next| next.max(now));
        if turn - now > LONGEST_TURN {
            return Err(turn - now);
        }
        let is_slow = turns.slow_until.is_some_and(|end| turn < end);
        turns.next = Some(turn + if is_slow { self.spacing.saturating_mul(AFTER_A_HOLD) } else { self.spacing });
        Ok((turn, turns.holds))
    }

    /// Nobody has a turn for this time, and turns are rarer after it.
    pub fn hold(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut turns = self.lock();
        if turns.held_until.is_some_and(|end| end >= until) {
            return;
        }
        turns.held_until = Some(until);
        // Those who wait for a turn take another.
        turns.holds += 1;
        turns.next = Some(until);
        turns.slow_until = Some(until + wait.min(LONGEST_SLOW));
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_spaced_and_a_hold_holds_all() {
        let begun = Instant::now();
        let pace = Pace::per_second(10.0);
        for _ in 0..5 {
            pace.turn().await.expect("soon");
        }
        assert_eq!(begun.elapsed().as_millis() / 10, 40, "{:?}", begun.elapsed());
        pace.hold(Duration::from_secs(2));
        pace.turn().await.expect("soon");
        assert!(begun.elapsed() >= Duration::from_millis(2_400));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_hold_turns_are_rarer_for_as_long_again() {
        let pace = Pace::per_second(10.0);
        pace.hold(Duration::from_secs(1));
        let begun = Instant::now();
        let mut times = Vec::new();
        for _ in 0..6 {
            pace.turn().await.expect("soon");
            times.push(begun.elapsed().as_millis() / 10);
        }
        assert_eq!(times, [100, 140, 180, 220, 230, 240]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_a_turn_when_a_hold_comes_waits_on() {
        let (pace, begun) = (Pace::per_second(10.0), Instant::now());
        let turn = || async {
            pace.turn().await.expect("soon");
            begun.elapsed().as_millis() / 10
        };
        let held = async {
            tokio::time::sleep(Duration::from_millis(150)).await;
            pace.hold(Duration::from_secs(1));
        };
        let (first, second, third, fourth, ()) = tokio::join!(turn(), turn(), turn(), turn(), held);
        assert_eq!([first, second, third, fourth], [0, 10, 115, 155]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_is_far_away_is_not_waited_for() {
        let pace = Pace::per_second(1_000.0);
        pace.hold(Duration::from_mins(1));
        let wait = pace.turn().await.expect_err("a minute is too long");
        assert_eq!(wait, Duration::from_mins(1));
        tokio::time::advance(wait).await;
        pace.turn().await.expect("now");
    }
}
