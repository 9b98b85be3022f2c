//! The one outbound HTTP client.
//!
//! target (where calls may go) -> call (what is asked) -> client -> answer, or an error that says how far it got
//!
//! A client never tries again by itself: whether a call may be repeated is known to the job that made it, and the retry
//! policy decides when. What an error says is fit for a log and a dead letter: secrets and personal data are taken out.

mod call;
mod client;
mod error;
mod guard;
mod pace;
mod redact;
mod retry_after;
mod target;

pub use call::{Answer, Call, Method};
pub use client::{Client, ClientError};
pub use error::{CallError, Reached};
pub use guard::is_public;
pub use pace::Pace;
pub use redact::{Redactor, redacted};
pub use retry_after::{LONGEST_WAIT, retry_after};
pub use target::{Target, TargetError};

#[cfg(test)]
mod tests;
