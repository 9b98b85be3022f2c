//! How long the engine's own tasks wait: a connection that died silently must stall nothing, and nothing may outlive a
//! session that is over.

use std::{future::Future, io, sync::atomic::Ordering, time::Duration};

use rand::RngExt;

use super::session::Session;

/// The most that is waited after one refusal, after many in a row, and the least.
const FIRST_PAUSE: Duration = Duration::from_millis(400);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// What a task may still need after the session is over: the statement it has begun.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The answer to one statement of the engine; an error after five leases, or 10 s, without one.
pub(super) async fn answer<T>(session: &Session, statement: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let limit = (session.program.config.lease * 5).max(Duration::from_secs(10));
    tokio::time::timeout(limit, statement).await.unwrap_or_else(|_| Err(no_answer()))
}

/// As [`answer`], for a statement that claims: a worker that goes with a claim unanswered does not sign off.
pub(super) async fn claim<T>(session: &Session, statement: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    session.claim_unanswered.store(true, Ordering::Release);
    let answer = answer(session, statement).await;
    session.claim_unanswered.store(answer.is_err(), Ordering::Release);
    answer
}

/// Runs a task's body; gives it up when the worker was declared dead, or a moment after it began to drain.
pub(super) async fn unless_over(session: &Session, body: impl Future<Output = Result<(), sqlx::Error>>) -> Result<(), sqlx::Error> {
    tokio::select! {
        ended = body => ended,
        () = session.lost.cancelled() => Ok(()),
        () = async { session.draining.cancelled().await; tokio::time::sleep(LAST_WORDS).await } => Ok(()),
    }
}

/// Waits, but not past the end of the session.
pub(super) async fn pause(session: &Session, time: Duration) {
    tokio::select! {
        () = tokio::time::sleep(time) => (),
        () = session.draining.cancelled() => (),
        () = session.lost.cancelled() => (),
    }
}

/// How long to wait before the next try after so many in a row were refused: anything up to twice as long each time, so that
/// workers which are refused alike do not come back together.
pub(super) fn before_next_try(refused: u32) -> Duration {
    let most = FIRST_PAUSE.saturating_mul(1 << refused.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    most.mul_f64(rand::rng().random_range(0.0..1.0)).max(LEAST_PAUSE)
}

pub(super) fn no_answer() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database did not answer in time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_refusals_grow_to_some_seconds_and_differ() {
        let most_of = |refused| (0..300).map(|_| before_next_try(refused)).max().expect("there are some");
        let most: Vec<Duration> = [1, 3, 5, 40].into_iter().map(most_of).collect();
        assert!(most.is_sorted() && most[0] <= FIRST_PAUSE && most[3] <= LONGEST_PAUSE, "{most:?}");
        assert!(most[3] > LONGEST_PAUSE / 2, "{most:?}");
        let least = (0..300).map(|_| before_next_try(40)).min().expect("there are some");
        assert!(least >= LEAST_PAUSE && least < LONGEST_PAUSE / 4, "{least:?}");
    }
}
