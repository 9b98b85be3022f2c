//! Tokens of callers over HTTP: made and ended by operators, asked for at each request.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::problem::Problem;
use crate::AppState;

/// What every token begins with, so that a leaked one is recognised.
const PREFIX: &str = "rawops_";

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// See jobs, dead letters and kinds.
    JobsRead,
    /// Enqueue and cancel jobs.
    JobsWrite,
    /// Emit events that workflows wait for.
    EventsWrite,
    /// Call the HTTP functions.
    Functions,
    /// What operators do: run again what failed for good.
    Operate,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [Self::JobsRead, Self::JobsWrite, Self::EventsWrite, Self::Functions, Self::Operate];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JobsRead => "jobs:read",
            Self::JobsWrite => "jobs:write",
            Self::EventsWrite => "events:write",
            Self::Functions => "functions",
            Self::Operate => "operate",
        }
    }
}

/// Who called, by the name of the token, and what he may do.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(super) String, Vec<String>);

impl Caller {
    /// Who acts, for the record.
    pub(super) fn who(&self) -> String {
        format!("{} over HTTP", self.0)
    }

    pub(super) fn may(&self, scope: Scope) -> bool {
        self.1.iter().any(|allowed| allowed == scope.as_str())
    }
}

/// A token as operators see it.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Token {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by: String,
    /// Until when it serves; `None`: until it is revoked.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether that is over.
    pub is_expired: bool,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// Why a token was not made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A live token has the name.
    #[error("a token called {0} exists: revoke it first, or choose another name")]
    NameTaken(String),
    /// Randomness is not to be had.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
    /// The database refused, or is away.
    #[error("{0}")]
    Database(#[from] sqlx::Error),
}

/// Makes a token and returns it; it cannot be shown again.
///
/// # Errors
/// [`TokenError`].
pub async fn create(pool: &PgPool, name: &str, scopes: &[Scope], by: &str, days: Option<i32>) -> Result<String, TokenError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| TokenError::Random(error.to_string()))?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret));
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let kept = sqlx::query(include_str!("../sql/api_tokens/create.sql")).bind(name).bind(hash(&token)).bind(scopes).bind(by).bind(days);
    match kept.execute(pool).await {
        Ok(_) => Ok(token),
        Err(error) if error.as_database_error().is_some_and(|error| error.constraint() == Some("api_tokens_name")) => {
            Err(TokenError::NameTaken(name.into()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Every token, newest first.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool) -> Result<Vec<Token>, sqlx::Error> {
    sqlx::query_as(include_str!("../sql/api_tokens/list.sql")).fetch_all(pool).await
}

/// Ends the live token of this name; false when there is none.
///
/// # Errors
/// The database's.
pub async fn revoke(pool: &PgPool, name: &str) -> Result<bool, sqlx::Error> {
    Ok(sqlx::query(include_str!("../sql/api_tokens/revoke.sql")).bind(name).execute(pool).await?.rows_affected() > 0)
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// Lets a request through whose token may do what it asks for.
pub(crate) async fn require(State((state, scope)): State<(AppState, Scope)>, mut request: Request, next: Next) -> Response {
    match caller(&state, request.headers(), scope).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn caller(state: &AppState, headers: &HeaderMap, scope: Scope) -> Result<Caller, Problem> {
    let unknown = || {
        Problem::new(StatusCode::UNAUTHORIZED, "send a live token as `Authorization: Bearer rawops_…`; `rawops tokens create` makes one")
    };
    let token = bearer(headers).filter(|token| token.starts_with(PREFIX)).ok_or_else(unknown)?;
    let found: Option<(String, Vec<String>)> =
        sqlx::query_as(include_str!("../sql/api_tokens/find.sql")).bind(hash(token)).fetch_optional(&state.pool).await?;
    let (name, scopes) = found.ok_or_else(unknown)?;
    let caller = Caller(name, scopes);
    if !caller.may(scope) {
        return Err(Problem::new(StatusCode::FORBIDDEN, format!("the token {} lacks the scope {}", caller.0, scope.as_str())));
    }
    Ok(caller)
}

/// The one token of a request: two of them leave open which one an intermediary has checked.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
