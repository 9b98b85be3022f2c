//! One call, and its answer.

use std::time::Duration;

use engine::{Run, trace::TraceParent};
use reqwest::header::HeaderMap;
use serde::{Serialize, de::DeserializeOwned};

/// How long a call may take, unless it says otherwise. Less than a worker's grace, so that a deploy cuts none off.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The largest answer that is read, unless the call says otherwise, in bytes.
const ANSWER_LIMIT: usize = 1 << 20;

/// The verbs that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes, or does.
    Post,
    /// Puts in place.
    Put,
    /// Removes.
    Delete,
}

impl Method {
    /// Its name in a request.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// What a call shows to be let in.
#[derive(Clone)]
pub(super) enum Credentials {
    None,
    Basic(String, String),
    Bearer(String),
    Header(&'static str, String),
}

/// One call to be made.
#[derive(Clone)]
pub struct Call {
    pub(super) method: Method,
    pub(super) segments: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) content_type: &'static str,
    pub(super) credentials: Credentials,
    pub(super) idempotency_key: Option<String>,
    pub(super) on_behalf_of: Option<String>,
    pub(super) trace_parent: Option<TraceParent>,
    pub(super) timeout: Duration,
    pub(super) answer_limit: usize,
}

impl Call {
    /// A call of the path that these segments make; each is encoded.
    pub fn new<'a>(method: Method, segments: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            method,
            segments: segments.into_iter().map(Into::into).collect(),
            query: Vec::new(),
            body: Vec::new(),
            content_type: "application/json",
            credentials: Credentials::None,
            idempotency_key: None,
            on_behalf_of: None,
            trace_parent: None,
            timeout: TIMEOUT,
            answer_limit: ANSWER_LIMIT,
        }
    }

    /// A pair of the query.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// The body, as JSON.
    ///
    /// # Errors
    /// When it does not serialise.
    pub fn json(mut self, body: &impl Serialize) -> Result<Self, serde_json::Error> {
        self.body = serde_json::to_vec(body)?;
        Ok(self)
    }

    /// The body, as it is.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, bytes: Vec<u8>) -> Self {
        self.content_type = content_type;
        self.body = bytes;
        self
    }

    /// Lets itself in with a user and a password.
    #[must_use]
    pub fn basic(mut self, user: &str, password: &str) -> Self {
        self.credentials = Credentials::Basic(user.into(), password.into());
        self
    }

    /// Lets itself in with a token.
    #[must_use]
    pub fn bearer(mut self, token: &str) -> Self {
        self.credentials = Credentials::Bearer(token.into());
        self
    }

    /// Lets itself in with a header of the vendor's.
    #[must_use]
    pub fn key(mut self, header: &'static str, key: &str) -> Self {
        self.credentials = Credentials::Header(header, key.into());
        self
    }

    /// The key by which the other side knows a repetition, where it honours one.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Says for which attempt of which job it is made, so that both sides' logs can be laid beside each other, and in which
    /// trace.
    #[must_use]
    pub fn on_behalf_of(mut self, run: &Run) -> Self {
        self.on_behalf_of = Some(format!("job-{}-{}", run.job_id(), run.attempt()));
        self.trace_parent = run.trace_parent();
        self
    }

    /// How long it may take, from the first byte to the last.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The largest answer that is read, in bytes.
    #[must_use]
    pub const fn answer_limit(mut self, bytes: usize) -> Self {
        self.answer_limit = bytes;
        self
    }
}

/// An answer of success, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 200 to 299.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body, decoded.
    ///
    /// # Errors
    /// The decoder's words.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}
