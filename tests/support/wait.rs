//! Waiting for a condition, never for a time.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// Waits until `holds`, looking every 10 ms; fails the test with `what` after `limit`. Returns how long it took.
pub async fn until<F: Future<Output = bool>>(what: &str, limit: Duration, holds: impl FnMut() -> F) -> Duration {
    until_every(Duration::from_millis(10), what, limit, holds).await
}

/// As [`until`], looking once a `period`: for conditions that cost something to look at.
pub async fn until_every<F: Future<Output = bool>>(
    period: Duration,
    what: &str,
    limit: Duration,
    mut holds: impl FnMut() -> F,
) -> Duration {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < limit, "waited {limit:?} in vain: {what}");
        tokio::time::sleep(period).await;
    }
    begun.elapsed()
}
