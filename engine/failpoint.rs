//! Failpoints: the places between two statements where a fault test may hold a process, fail it or end it.
//!
//! Every statement that moves a job stands in `around`, so each has a place before it and one after it. They exist only
//! with the feature `failpoints`, which no product build has, and do nothing until a test installs its hook.

#[cfg(feature = "failpoints")]
use std::{io, sync::OnceLock, time::Duration};

/// Which side of a statement a place is on.
#[cfg(feature = "failpoints")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The statement has not been sent.
    Before,
    /// Its answer has come.
    After,
}

/// What a process does at a place.
#[cfg(feature = "failpoints")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It goes on.
    Go,
    /// It goes on after this time.
    Wait(Duration),
    /// The statement fails as if the connection had broken.
    Fail,
}

#[cfg(feature = "failpoints")]
type Hook = Box<dyn Fn(&'static str, Side) -> Act + Send + Sync>;

#[cfg(feature = "failpoints")]
static HOOK: OnceLock<Hook> = OnceLock::new();

/// Installs what is asked at every place, once a process; false when another was there.
#[cfg(feature = "failpoints")]
pub fn install(hook: impl Fn(&'static str, Side) -> Act + Send + Sync + 'static) -> bool {
    HOOK.set(Box::new(hook)).is_ok()
}

/// The statements that have a place before and after them, by the names of their files or of what they commit; `run/next` is
/// the step from one job of a run to the next.
#[cfg(feature = "failpoints")]
pub const STATEMENTS: [&str; 60] = [
    "aftermath/settle",
    "attempt/complete",
    "attempt/settle",
    "cancel_request/ask",
    "cancel_request/remove",
    "cancel_request/settle",
    "child/add",
    "child/endings",
    "claim/assert",
    "claim/assert_lock",
    "claim/close",
    "claim/close_one",
    "claim/lock",
    "claim/lock_job",
    "claim/orphans",
    "claim/rescue",
    "claim/rescue commit",
    "claim/rescue one commit",
    "claim/strays",
    "claim/take",
    "claim/take_alone",
    "claim/take_limited",
    "claim/take_limited commit",
    "compensation/add",
    "compensation/done",
    "dead_letter/requeue",
    "dead_letter/requeue_many",
    "event/emit",
    "event/next",
    "event_wait/put",
    "event_wait/remove",
    "job/enqueue",
    "job/enqueue_many",
    "leader/assert",
    "leader/lead",
    "note/log",
    "note/progress",
    "parked/wake_due",
    "parked/wake_parents",
    "run/commit",
    "run/complete commit",
    "run/next",
    "schedule/fire commit",
    "scheduled/promote",
    "step/continue",
    "step/keep",
    "step/load",
    "step/receive",
    "step/sleep",
    "step/wait",
    "topic/touch",
    "waiting/admit",
    "waiting/admit commit",
    "waiting/take_back_held",
    "worker/declare_dead",
    "worker/end_sessions",
    "worker/leave",
    "worker/register",
    "worker/renew",
    "worker/sleep",
];

/// Runs a statement between its two places.
///
/// # Errors
/// The statement's own, or that of a broken connection when the hook says so.
#[cfg(feature = "failpoints")]
pub(crate) async fn around<T, E: From<sqlx::Error>>(name: &'static str, statement: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    reach(name, Side::Before).await?;
    let answer = statement.await?;
    reach(name, Side::After).await?;
    Ok(answer)
}

#[cfg(feature = "failpoints")]
async fn reach(name: &'static str, side: Side) -> Result<(), sqlx::Error> {
    debug_assert!(STATEMENTS.contains(&name), "{name} is no statement of the list");
    match HOOK.get().map_or(Act::Go, |hook| hook(name, side)) {
        Act::Go => Ok(()),
        Act::Wait(time) => {
            tokio::time::sleep(time).await;
            Ok(())
        }
        Act::Fail => Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::ConnectionReset, format!("a failpoint broke it {side:?} {name}")))),
    }
}

/// Runs a statement; its places exist in test builds only.
///
/// # Errors
/// The statement's own.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) async fn around<T, E>(_name: &'static str, statement: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    statement.await
}
