//! Complaints about a database that is away: every task of a worker has one, again and again, and one line a second is
//! enough for whoever reads the log.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// When this process may log the next one, in milliseconds since it began to.
static NEXT: AtomicU64 = AtomicU64::new(0);
static UNSAID: AtomicU64 = AtomicU64::new(0);
const PERIOD_MS: u64 = 1000;

/// The same of a database that is there and refuses: that does not pass by itself, and one line a minute is enough.
static NEXT_OF_REFUSAL: AtomicU64 = AtomicU64::new(0);
static UNSAID_OF_REFUSAL: AtomicU64 = AtomicU64::new(0);
const REFUSAL_PERIOD_MS: u64 = 60_000;

/// Logs that a task of a worker cannot work for now; at most one such line a second in the whole process.
pub(super) fn warn(worker_id: i64, what: &str, error: &sqlx::Error) {
    if let Some(unsaid) = turn(now(), PERIOD_MS, &NEXT, &UNSAID) {
        tracing::warn!(worker.id = worker_id, %error, unsaid, "{what}");
    }
}

/// Logs that the database refuses what a task of a worker asks; at most one such line a minute in the whole process.
pub(super) fn refused(worker_id: i64, what: &str, error: &sqlx::Error) {
    if let Some(unsaid) = turn(now(), REFUSAL_PERIOD_MS, &NEXT_OF_REFUSAL, &UNSAID_OF_REFUSAL) {
        tracing::error!(worker.id = worker_id, %error, unsaid, "{what}");
    }
}

fn now() -> u64 {
    BEGUN.elapsed().as_millis() as u64
}

/// How many complaints were left out since the last one that was said; `None`: this one is left out too.
fn turn(now: u64, period: u64, next: &AtomicU64, unsaid: &AtomicU64) -> Option<u64> {
    let due = next.load(Ordering::Relaxed);
    if now >= due && next.compare_exchange(due, now + period, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        return Some(unsaid.swap(0, Ordering::Relaxed));
    }
    unsaid.fetch_add(1, Ordering::Relaxed);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_complaint_a_period_is_said_and_the_others_are_counted() {
        let (next, unsaid) = (AtomicU64::new(0), AtomicU64::new(0));
        assert_eq!(turn(5, 1000, &next, &unsaid), Some(0));
        assert_eq!(turn(6, 1000, &next, &unsaid), None);
        assert_eq!(turn(1004, 1000, &next, &unsaid), None);
        assert_eq!(turn(1005, 1000, &next, &unsaid), Some(2));
        assert_eq!(turn(1006, 1000, &next, &unsaid), None);
    }
}
