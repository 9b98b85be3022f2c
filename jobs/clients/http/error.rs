//! How a call failed: how far it got, and the category of the retry policy that follows.

use std::time::Duration;

use engine::{Category, Failure};

/// How far a call got before it failed. Whether it may be repeated follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// No byte of it was sent.
    Nothing,
    /// It was sent, in part or whole, and no whole answer came: it may have been carried out.
    Unknown,
    /// It was answered with this status.
    Answered(u16),
}

/// Why a call did not succeed. The words hold neither secrets nor personal data.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{system}: {message}")]
pub struct CallError {
    /// The outside system.
    pub system: &'static str,
    /// How far the call got.
    pub reached: Reached,
    /// What the retry policy is asked for.
    pub category: Category,
    /// One sentence for the operator.
    pub message: String,
    /// How long the other side asked to be left alone.
    pub retry_after: Option<Duration>,
}

impl CallError {
    /// An error of this system, with no wish about when to come again.
    pub fn new(system: &'static str, reached: Reached, category: Category, message: impl Into<String>) -> Self {
        Self { system, reached, category, message: message.into(), retry_after: None }
    }

    /// An answer other than success.
    pub fn of_status(system: &'static str, status: u16, words: &str, retry_after: Option<Duration>) -> Self {
        let message = if words.is_empty() { format!("answered {status}") } else { format!("answered {status}: {words}") };
        Self { retry_after, ..Self::new(system, Reached::Answered(status), category_of(status), message) }
    }

    /// Whether the other side certainly did nothing, so that the same call may be made again: nothing was sent, or the
    /// answer is a refusal. 500 and a gateway's 502 and 504 are none: the system behind it may have done its part.
    pub const fn did_nothing(&self) -> bool {
        match self.reached {
            Reached::Nothing => true,
            Reached::Unknown => false,
            Reached::Answered(status) => matches!(status, 300..=499 | 503),
        }
    }
}

/// The category of a status, once for every system.
const fn category_of(status: u16) -> Category {
    match status {
        401 | 403 => Category::Auth,
        408 | 504 | 522 | 524 => Category::Timeout,
        409 | 423 | 425 => Category::Conflict,
        429 => Category::RateLimited,
        500.. => Category::Upstream,
        400..500 => Category::Validation,
        _ => Category::Unknown,
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let failure = Self::new(error.category, error.to_string());
        match error.retry_after {
            Some(wait) => failure.retry_after(wait),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_says_that_nothing_was_done() {
        let did_nothing = |reached| CallError::new("x", reached, Category::Unknown, "").did_nothing();
        assert!(did_nothing(Reached::Nothing));
        assert!(!did_nothing(Reached::Unknown));
        for status in [301, 400, 401, 403, 404, 408, 413, 422, 429, 503] {
            assert!(did_nothing(Reached::Answered(status)), "{status}");
        }
        for status in [200, 204, 500, 502, 504, 520, 522, 524, 599] {
            assert!(!did_nothing(Reached::Answered(status)), "{status}");
        }
    }

    #[test]
    fn a_status_has_one_category() {
        for (status, category) in [
            (400, Category::Validation),
            (401, Category::Auth),
            (403, Category::Auth),
            (404, Category::Validation),
            (408, Category::Timeout),
            (409, Category::Conflict),
            (422, Category::Validation),
            (429, Category::RateLimited),
            (500, Category::Upstream),
            (503, Category::Upstream),
            (504, Category::Timeout),
            (302, Category::Unknown),
        ] {
            assert_eq!(Failure::from(CallError::of_status("x", status, "", None)).category, category, "{status}");
        }
    }

    #[test]
    fn what_the_other_side_asked_for_reaches_the_policy() {
        let failure = Failure::from(CallError::of_status("Slack", 429, "slow down", Some(Duration::from_secs(7))));
        assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(failure.message, "Slack: answered 429: slow down");
    }
}
