//! Waiting for a condition, never for a time.

use std::{
    fmt::Debug,
    future::Future,
    time::{Duration, Instant},
};

/// A limit of so long says nothing of how long it should take: it ends a wait in vain, on a machine with a load of its own.
const SAYS_NOTHING: Duration = Duration::from_secs(10);
/// How long is waited at least where the limit says nothing. To wait longer costs nothing while all is well.
const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until `holds`, looking every 10 ms; fails the test with `what` after `limit`, or two minutes where that is ten
/// seconds or more. Returns how long it took.
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
    until_none_is_left(period, what, limit, || {
        let looking = holds();
        async { if looking.await { Vec::new() } else { vec!["not yet"] } }
    })
    .await
}

/// As [`until_every`], until nothing is left of a list; fails the test with what is.
pub async fn until_none_is_left<T: Debug, F: Future<Output = Vec<T>>>(
    period: Duration,
    what: &str,
    limit: Duration,
    mut left: impl FnMut() -> F,
) -> Duration {
    let limit = if limit < SAYS_NOTHING { limit } else { limit.max(PATIENCE) };
    let begun = Instant::now();
    loop {
        let left = left().await;
        if left.is_empty() {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < limit, "waited {limit:?} in vain: {what}; {left:#?}");
        tokio::time::sleep(period).await;
    }
}
