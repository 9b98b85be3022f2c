//! An error as RFC 9457 has it: a status and a sentence.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::StoreError;
use serde_json::json;

use crate::webhooks::body::Refusal;

/// Why a request was not done.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = json!({ "title": title, "status": self.status.as_u16(), "detail": self.detail }).to_string();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // The figures that decide are a second old.
            StatusCode::TOO_MANY_REQUESTS => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
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
            StoreError::KeyReused(_) => StatusCode::CONFLICT,
            StoreError::QueueFull(_) => StatusCode::TOO_MANY_REQUESTS,
            StoreError::NoSuchJob(_) => StatusCode::NOT_FOUND,
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
        let of_value = |code: &str| ["22", "23", "54"].contains(&code.get(..2).unwrap_or_default());
        let refused = error.as_database_error().filter(|error| error.code().is_some_and(|code| of_value(&code)));
        if let Some(refused) = refused {
            return Self::invalid(refused.message());
        }
        if error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("42501") {
            tracing::error!(%error, "{}", crate::rights::CURE);
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, "this process may not serve /v1: its log says what it lacks");
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
