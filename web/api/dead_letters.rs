//! `/v1/dead-letters`: what failed for good and nobody has dealt with, and to run it again.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use engine::store::dead_letter::{self, Envelope, Filter, Open};
use engine::{JobId, sqlstate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

use super::job::id;
use super::jobs::parse;
use super::problem::Problem;
use super::tokens::{Caller, Scope};
use crate::AppState;
use crate::webhooks::body;

/// The most letters of one page, which may have 16 KiB of an error each.
const AT_MOST: u16 = 100;
/// And how many it has unless the caller says otherwise.
const UNLESS_SAID: u16 = 50;

/// Which dead letters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LettersRequest {
    /// Only of this kind of job, such as orders.process_order.
    kind: Option<String>,
    /// Only of this error category, such as validation.
    category: Option<String>,
    /// Only of this cause, as letters of one have the same fingerprint.
    fingerprint: Option<String>,
    /// Only of jobs that died at this time or later.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    since: Option<DateTime<Utc>>,
    /// The page behind the one that answered this as its `next`.
    after: Option<String>,
    /// How many at most; 50 where it is left out.
    #[schemars(range(min = 1, max = AT_MOST))]
    limit: Option<u16>,
}

/// One page of dead letters.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LettersAnswer {
    /// Newest first.
    dead_letters: Vec<DeadLetter>,
    /// What to send as `after` for the next page; null where this is the last.
    next: Option<String>,
}

/// What failed for good and nobody has dealt with. Arguments and attempts are at `/v1/jobs/{id}` of its job.
#[derive(Debug, Serialize, JsonSchema)]
struct DeadLetter {
    /// The letter.
    id: Uuid,
    /// The job that died; null in a letter that another program has left.
    #[schemars(with = "Option<String>")]
    job_id: Option<JobId>,
    /// Its kind.
    kind: String,
    /// Its queue.
    queue: Option<String>,
    /// The error category that decided.
    category: Option<String>,
    /// The error of its last attempt.
    error: Option<String>,
    /// Equal for failures of one cause.
    fingerprint: Option<String>,
    /// How often it ran.
    attempts: Option<i32>,
    /// When it died.
    #[schemars(with = "String", extend("format" = "date-time"))]
    died_at: DateTime<Utc>,
}

/// How a dead job is to run again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RequeueRequest {
    /// Other arguments than it had, by its kind's schema, for which the token needs the scope jobs:write too; a workflow then begins at
    /// its start, and does not go on where it failed.
    #[schemars(with = "Option<Value>")]
    args: Option<Box<RawValue>>,
}

/// What became of a dead letter.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RequeueAnswer {
    /// The letter, which is dealt with now.
    requeued: Uuid,
    /// The job that runs in the place of the dead one.
    #[schemars(with = "String")]
    job_id: JobId,
}

/// `GET /v1/dead-letters`
pub(super) async fn list(
    State(state): State<AppState>,
    which: Result<Query<LettersRequest>, QueryRejection>,
) -> Result<Json<LettersAnswer>, Problem> {
    let Query(LettersRequest { kind, category, fingerprint, since, after, limit }) =
        which.map_err(|error| Problem::invalid(error.body_text()))?;
    let limit = limit.unwrap_or(UNLESS_SAID);
    if !(1..=AT_MOST).contains(&limit) {
        return Err(Problem::invalid(format!("limit: a number from 1 to {AT_MOST}")));
    }
    let after = after.as_deref().map(end_of_page).transpose()?;
    let filter = Filter { kind, category, fingerprint, resolved: false };
    let mut tx = super::begin(&state).await?;
    // A rare kind is looked for among all that are open, and webhooks need the connections.
    sqlx::query("set local statement_timeout = '2s'").execute(&mut *tx).await?;
    let looking = dead_letter::page(&mut tx, &filter, since, after, i64::from(limit) + 1);
    let mut letters = looking.await.map_err(|error| took_too_long(&error).unwrap_or_else(|| Problem::from(&error)))?;
    drop(tx);
    let is_last = letters.len() <= usize::from(limit);
    letters.truncate(limit.into());
    let next = letters.last().filter(|_| !is_last).map(next_of);
    Ok(Json(LettersAnswer { dead_letters: letters.into_iter().map(DeadLetter::from).collect(), next }))
}

/// `POST /v1/dead-letters/{job}/requeue`
pub(super) async fn requeue(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(job): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let RequeueRequest { args } = parse(&body::read(&headers, body).await?)?;
    if args.is_some() && !caller.may(Scope::JobsWrite) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "args: other arguments make another job, which takes the scope jobs:write too"));
    }
    let job = id(&job)?;
    let mut tx = super::begin(&state).await?;
    let letter = dead_letter::of_job(&mut tx, job).await?;
    if let Some(again) = letter.requeued_job_id {
        return Err(Problem::new(StatusCode::CONFLICT, format!("job {job} runs again already, as job {again}")));
    }
    if let Some(args) = &args {
        state.kinds.fit(&letter.topic, args.get()).map_err(|why| Problem::invalid(format!("args: {why}")))?;
    }
    let job_id = dead_letter::requeue_in(&mut tx, letter.id, &caller.who(), args).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(RequeueAnswer { requeued: letter.id, job_id })).into_response())
}

/// What to ask for instead of what could not be found in time.
fn took_too_long(error: &sqlx::Error) -> Option<Problem> {
    let why = "so many dead letters are open that these were not found in two seconds: ask for those since a time, or of every kind";
    (sqlstate::code(error).as_deref() == Some("57014")).then(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why))
}

impl From<Envelope> for DeadLetter {
    fn from(letter: Envelope) -> Self {
        let Envelope { id, topic, queue, job_id, category, fingerprint, error_message, attempts, created_at, requeued_job_id: _ } = letter;
        Self { id, job_id, kind: topic, queue, category, error: error_message, fingerprint, attempts, died_at: created_at }
    }
}

/// How a caller names the end of a page.
fn next_of(last: &Envelope) -> String {
    format!("{}_{}", last.created_at.to_rfc3339_opts(SecondsFormat::Micros, true), last.id)
}

/// The end of a page that a caller names.
fn end_of_page(named: &str) -> Result<Open, Problem> {
    let read = || {
        let (created_at, id) = named.split_once('_')?;
        Some(Open { id: id.parse().ok()?, created_at: created_at.parse().ok()? })
    };
    read().ok_or_else(|| Problem::invalid("after: send what a page answered as its `next`, as it is"))
}
