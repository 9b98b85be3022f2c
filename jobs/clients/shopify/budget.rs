//! Points of the GraphQL API: how many there are, as the last answer said and as time has filled up since.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use tokio::time::Instant;

/// The longest that a call waits for points; it is better put off than longer in a worker's way.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What an answer says of its cost.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cost {
    /// Points that a call like this one must find.
    pub requested_query_cost: f64,
    /// The bucket after it.
    pub throttle_status: Throttle,
}

/// The bucket.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Throttle {
    /// Points that it holds at most.
    pub maximum_available: f64,
    /// Points in it.
    pub currently_available: f64,
    /// Points a second that fill it.
    pub restore_rate: f64,
}

impl Cost {
    /// How long until a call of this cost finds its points.
    pub fn wait(&self) -> Duration {
        let missing = self.requested_query_cost.min(self.throttle_status.maximum_available) - self.throttle_status.currently_available;
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(missing / self.throttle_status.restore_rate.max(1.0)).unwrap_or(LONGEST_WAIT)
    }
}

/// The points of one shop, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// When a call like the last one finds its points.
    ready: Mutex<Option<Instant>>,
}

impl Budget {
    /// Waits until a call like the last one finds its points.
    ///
    /// # Errors
    /// How long that would take, when it is too long to wait here.
    pub async fn turn(&self) -> Result<(), Duration> {
        let ready = *self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ready) = ready else { return Ok(()) };
        let wait = ready.saturating_duration_since(Instant::now());
        if wait > LONGEST_WAIT {
            return Err(wait);
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Notes what an answer says.
    pub fn note(&self, cost: &Cost) {
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + cost.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(requested: f64, available: f64, rate: f64) -> Cost {
        let throttle_status = Throttle { maximum_available: 1000.0, currently_available: available, restore_rate: rate };
        Cost { requested_query_cost: requested, throttle_status }
    }

    #[test]
    fn a_call_waits_for_the_points_that_it_lacks() {
        assert_eq!(cost(100.0, 100.0, 50.0).wait(), Duration::ZERO);
        assert_eq!(cost(100.0, 50.0, 50.0).wait(), Duration::from_secs(1));
        assert_eq!(cost(5000.0, 0.0, 100.0).wait(), Duration::from_secs(10), "no more than the bucket holds");
        assert_eq!(cost(100.0, 0.0, 0.0).wait(), Duration::from_secs(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_too_long_is_told() {
        let budget = Budget::default();
        assert_eq!(budget.turn().await, Ok(()));
        budget.note(&cost(100.0, 0.0, 20.0));
        let begun = Instant::now();
        assert_eq!(budget.turn().await, Ok(()));
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        budget.note(&cost(100.0, 0.0, 5.0));
        assert_eq!(budget.turn().await, Err(Duration::from_secs(20)));
    }
}
