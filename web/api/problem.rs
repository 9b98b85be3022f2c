//! An error as RFC 9457 has it: a status and a sentence.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use engine::{StoreError, sqlstate};
use schemars::JsonSchema;
use serde::Serialize;

use crate::webhooks::body::Refusal;

/// What an error is sent as.
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
/// The most bytes of an error that the router words itself.
const WORDS_BYTES: usize = 1000;

/// Every status that an operation refuses with, and what it says of the request.
pub(super) const MEANINGS: [(StatusCode, &str); 11] = [
    (StatusCode::BAD_REQUEST, "The path cannot be read, or the body broke off."),
    (StatusCode::UNAUTHORIZED, "There is no token, or none that is live."),
    (StatusCode::FORBIDDEN, "The token lacks the scope."),
    (StatusCode::NOT_FOUND, "What the path names is not there."),
    (StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time."),
    (
        StatusCode::CONFLICT,
        "The Idempotency-Key was used before for something else; or the dead letter is dealt with, or a live job holds its unique key.",
    ),
    (StatusCode::PAYLOAD_TOO_LARGE, "The body, or a part of it as the database keeps it, is larger than 1 MiB."),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not declared as application/json, or it is encoded."),
    (StatusCode::UNPROCESSABLE_ENTITY, "The body, the query or a header is not as it must be; to send it again would be in vain."),
    (StatusCode::TOO_MANY_REQUESTS, "The queue takes no more jobs for now."),
    (StatusCode::SERVICE_UNAVAILABLE, "The database cannot be asked, or an open transaction holds what this asks for."),
];

/// A header of some refusals.
pub(super) struct Header {
    pub name: &'static str,
    pub value: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

/// The header that refusals of this status have.
pub(super) fn header_of(status: StatusCode) -> Option<Header> {
    let retry_after = |value| Header { name: "Retry-After", value, meaning: "After how many seconds to send the request again." };
    match status {
        StatusCode::UNAUTHORIZED => Some(Header { name: "WWW-Authenticate", value: "Bearer", meaning: "What kind of token is wanted." }),
        // The figures that decide are a second old.
        StatusCode::TOO_MANY_REQUESTS => Some(retry_after("2")),
        StatusCode::SERVICE_UNAVAILABLE => Some(retry_after("5")),
        _ => None,
    }
}

/// Why a request was not done.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
}

/// An error, as RFC 9457 has it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct ProblemAnswer {
    /// The status in words.
    title: &'static str,
    /// The status.
    status: u16,
    /// What is wrong, in a sentence.
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// Says which part of the request is invalid, where one is.
    pub(crate) fn of_part(self, part: &str) -> Self {
        match self.status {
            StatusCode::UNPROCESSABLE_ENTITY => Self { detail: format!("{part}: {}", self.detail), ..self },
            _ => self,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, detail } = self;
        let answer = ProblemAnswer { title: status.canonical_reason().unwrap_or("Error"), status: status.as_u16(), detail };
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM)], Json(answer)).into_response();
        if let Some(Header { name, value, .. }) = header_of(status) {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Puts into this form what the router itself refuses under `/v1`: an unknown path, another method, a path that cannot be read.
pub(crate) async fn form(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path != "/v1" && !path.starts_with("/v1/") {
        return next.run(request).await;
    }
    let method = request.method().clone();
    let response = next.run(request).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || response.headers().get(header::CONTENT_TYPE) == Some(&PROBLEM) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let words = axum::body::to_bytes(body, WORDS_BYTES).await.unwrap_or_default();
    let (made, body) = Problem::new(status, worded(status, &method, &words)).into_response().into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    // What the router said beside it stays: which methods there are, for one.
    head.headers.extend(made.headers);
    Response::from_parts(head, body)
}

fn worded(status: StatusCode, method: &Method, words: &[u8]) -> String {
    match (status, std::str::from_utf8(words)) {
        (StatusCode::NOT_FOUND, _) => "there is nothing at this path: GET /v1/openapi.json lists what there is".into(),
        (StatusCode::METHOD_NOT_ALLOWED, _) => format!("{method} is not what can be done here: see the header Allow"),
        (_, Ok(words)) if !words.trim().is_empty() => words.trim().into(),
        _ => status.canonical_reason().unwrap_or("the request cannot be answered").into(),
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.status(), format!("{refusal}: send JSON of at most 1 MiB as application/json"))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::KeyReused(_) | StoreError::LetterResolved(..) | StoreError::LetterKeyHeld(..) => StatusCode::CONFLICT,
            StoreError::QueueFull(_) => StatusCode::TOO_MANY_REQUESTS,
            StoreError::NoSuchJob(_) | StoreError::NoLetterOfJob(_) => StatusCode::NOT_FOUND,
            StoreError::ArgumentsTooLarge | StoreError::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            StoreError::Database(error) => return error.into(),
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, error.to_string())
    }
}

impl From<&sqlx::Error> for Problem {
    fn from(error: &sqlx::Error) -> Self {
        // What was sent cannot be stored, however often it is sent: a value that is none, one that a constraint forbids, or one
        // that no index holds. Its words are about the caller's own values.
        if let Some(refused) = error.as_database_error().filter(|_| sqlstate::is_of_value(error)) {
            return Self::invalid(refused.message());
        }
        if sqlstate::code(error).as_deref() == Some("42501") {
            tracing::error!(%error, "{}", crate::rights::CURE);
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, "this process may not serve /v1: its log says what it lacks");
        }
        if sqlstate::is_lock_timeout(error) {
            return Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "a transaction that is still open holds the key that this asks for: try again",
            );
        }
        tracing::error!(%error, "a request of the API met the database's error");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the database cannot be asked: try again")
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Self::from(&error)
    }
}
