//! Turns: a system is called no more often than it takes, and not at all while it asked to be left alone.
//!
//! Each process keeps to its own pace. What the fleet does too much of is refused with 429, which holds every process
//! that meets with it for as long as was asked.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The longest that a call waits for its turn; it is better put off than longer in a worker's way.
const LONGEST_TURN: Duration = Duration::from_secs(3);

/// The pace of one system, or of one channel of it.
#[derive(Debug)]
pub struct Pace {
    spacing: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// So many calls a second.
    pub fn per_second(calls: f64) -> Self {
        Self { spacing: Duration::try_from_secs_f64(1.0 / calls).unwrap_or(Duration::ZERO), next: Mutex::new(None) }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// How long it would take, when that is too long to wait here; no turn is taken then.
    pub async fn turn(&self) -> Result<(), Duration> {
        let now = Instant::now();
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = next.map_or(now, |next| next.max(now));
            if turn - now > LONGEST_TURN {
                return Err(turn - now);
            }
            *next = Some(turn + self.spacing);
            turn
        };
        tokio::time::sleep_until(turn).await;
        Ok(())
    }

    /// Nobody has a turn for this time.
    pub fn hold(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(next.map_or(until, |next| next.max(until)));
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
    async fn a_turn_that_is_far_away_is_not_waited_for() {
        let pace = Pace::per_second(1_000.0);
        pace.hold(Duration::from_mins(1));
        let wait = pace.turn().await.expect_err("a minute is too long");
        assert_eq!(wait, Duration::from_mins(1));
        tokio::time::advance(wait).await;
        pace.turn().await.expect("now");
    }
}
