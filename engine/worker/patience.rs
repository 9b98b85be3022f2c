//! How long the engine's own tasks wait: a connection that died silently must stall nothing, and nothing may outlive a
//! session that is over.

use std::{future::Future, io, time::Duration};

use super::session::Session;

/// What a task may still need after the session is over: the statement it has begun.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The answer to one statement of the engine; an error after five leases, or 10 s, without one.
pub(super) async fn answer<T>(session: &Session, statement: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let limit = (session.program.config.lease * 5).max(Duration::from_secs(10));
    tokio::time::timeout(limit, statement).await.unwrap_or_else(|_| Err(no_answer()))
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

pub(super) fn no_answer() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database did not answer in time"))
}
