//! What can be done over HTTP: one operation, as the router and the document both read it.

use std::collections::BTreeSet;

use axum::handler::Handler;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, get, post};
use schemars::JsonSchema;
use serde_json::Value;

use super::{Scope, schema};
use crate::AppState;

/// One thing that can be done.
pub(crate) struct Operation {
    /// `get` or `post`.
    pub method: &'static str,
    /// Where, with parameters in braces.
    pub path: &'static str,
    /// What a caller's token must allow; `None`: anybody.
    pub scope: Option<Scope>,
    /// In a few words.
    pub summary: &'static str,
    /// The parameters of its query, each with its schema.
    pub query: Vec<(String, Value)>,
    /// The schema of the request's body.
    pub body: Option<Value>,
    /// Whether it reads the header Idempotency-Key.
    pub is_keyed: bool,
    /// What it answers when it is done.
    pub answers: Vec<Answer>,
    /// What it refuses with, beside what all of its shape do.
    refusals: &'static [StatusCode],
    /// Who does it.
    pub route: MethodRouter<AppState>,
}

/// An answer of an operation that is done.
pub(crate) struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// What became of the request.
    pub meaning: &'static str,
    /// The schema of its body.
    pub schema: Value,
}

impl Operation {
    /// What is asked for by GET.
    pub fn get<T: 'static>(path: &'static str, summary: &'static str, handler: impl Handler<T, AppState>) -> Self {
        Self::new("get", path, summary, get(handler))
    }

    /// What is done by POST.
    pub fn post<T: 'static>(path: &'static str, summary: &'static str, handler: impl Handler<T, AppState>) -> Self {
        Self::new("post", path, summary, post(handler))
    }

    fn new(method: &'static str, path: &'static str, summary: &'static str, route: MethodRouter<AppState>) -> Self {
        let (query, answers) = (Vec::new(), Vec::new());
        Self { method, path, scope: None, summary, query, body: None, is_keyed: false, answers, refusals: &[], route }
    }

    /// Only for callers whose token allows this.
    pub fn with_scope(self, scope: Scope) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// Reads such a query.
    pub fn with_query<T: JsonSchema>(self) -> Self {
        Self { query: schema::of_query::<T>(), ..self }
    }

    /// Reads such a body.
    pub fn with_body<T: JsonSchema>(self) -> Self {
        Self { body: Some(schema::of_request::<T>()), ..self }
    }

    /// Reads the header Idempotency-Key.
    pub fn with_key(self) -> Self {
        Self { is_keyed: true, ..self }
    }

    /// Answers so when it is done.
    pub fn with_answer<T: JsonSchema>(mut self, status: StatusCode, meaning: &'static str) -> Self {
        self.answers.push(Answer { status, meaning, schema: schema::of_answer::<T>() });
        self
    }

    /// Refuses with these, beside what all do that read a token, a body or a parameter.
    pub fn with_refusals(self, refusals: &'static [StatusCode]) -> Self {
        Self { refusals, ..self }
    }

    /// The parameters of its path.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Every status that it refuses with. `tokens::require` asks the database, the router decodes the path, and `body::read` and the
    /// parser judge the body, as the parser does the query.
    pub fn refusals(&self) -> BTreeSet<StatusCode> {
        let of_token = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::SERVICE_UNAVAILABLE];
        let of_path = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND];
        let of_body = [
            StatusCode::BAD_REQUEST,
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            StatusCode::UNPROCESSABLE_ENTITY,
        ];
        let mut refusals: BTreeSet<_> = self.refusals.iter().copied().collect();
        if self.scope.is_some() {
            refusals.extend(of_token);
        }
        if self.parameters().next().is_some() {
            refusals.extend(of_path);
        }
        if !self.query.is_empty() {
            refusals.insert(StatusCode::UNPROCESSABLE_ENTITY);
        }
        if self.body.is_some() {
            refusals.extend(of_body);
        }
        refusals
    }
}
