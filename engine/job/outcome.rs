//! How an attempt ends well.

use std::time::Duration;

use crate::Failure;

/// What a handler and its steps return.
pub type JobResult<T = Outcome> = Result<T, Failure>;

/// How an attempt ended well.
///
/// ```
/// use std::time::Duration;
/// use engine::{JobResult, Outcome};
///
/// async fn look_after(parcel: i64) -> JobResult {
///     Ok(match state_of(parcel).await? {
///         State::Delivered { to } => Outcome::Done(serde_json::json!({ "delivered_to": to })),
///         State::OnItsWay => Outcome::Snooze(Duration::from_hours(1)),
///         State::Recalled => Outcome::Cancel("the parcel was recalled".into()),
///     })
/// }
/// # enum State { Delivered { to: String }, OnItsWay, Recalled }
/// # async fn state_of(_: i64) -> JobResult<State> { Ok(State::OnItsWay) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The work is done; the value is kept in the ledger as the job's output. One that is larger than 1 MiB or holds a NUL character
    /// is not: an object that says so stands in its place.
    Done(serde_json::Value),
    /// Run again after this time, ten years at most. Burns no attempt of the retry policy. After a hundred of them a job waits a
    /// second at least, and the hundred thousandth is its end: it is dead, of category `bug`.
    Snooze(Duration),
    /// Final, and no failure: the work is no longer wanted, for this reason. In answer to a shutdown ([`Run::stop_reason`](crate::Run::stop_reason)) it is taken
    /// for one, and the job runs again.
    Cancel(String),
}

impl Outcome {
    /// Done, with nothing to report.
    pub const fn done() -> Self {
        Self::Done(serde_json::Value::Null)
    }
}
