//! `POST /v1/jobs`: enqueue.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::{Json, response::Response};
use chrono::{DateTime, Utc};
use engine::{Enqueued, JobId, Kinds, NewJob};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::lanes;
use super::problem::Problem;
use super::tokens::Caller;
use crate::AppState;
use crate::webhooks::body;

/// The most jobs of one request.
const AT_MOST: usize = 1000;
/// The header that makes a request safe to send again.
pub(super) const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// The most characters of it.
pub(super) const KEY_LENGTH: usize = 200;

/// One job to enqueue.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JobRequest {
    /// The kind, such as orders.process_order; `GET /v1/kinds` lists them.
    kind: String,
    /// The arguments, by the kind's schema.
    #[schemars(with = "Value")]
    args: Box<RawValue>,
    /// Another queue than the kind's: 1 to 500 bytes, no control character, no blank at either end.
    #[schemars(length(min = 1, max = 500))]
    queue: Option<String>,
    /// 0 runs first, 9 last.
    #[schemars(range(min = 0, max = 9))]
    priority: Option<i16>,
    /// Not before this time.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    run_at: Option<DateTime<Utc>>,
    /// Dropped if it has not started by then.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    deadline: Option<DateTime<Utc>>,
    /// At most one live job of the kind has this key.
    unique_key: Option<String>,
    /// At most one live job of the kind has these arguments.
    #[serde(default)]
    unique_args: bool,
    /// Nor is another one made for so many seconds, whatever became of this one.
    unique_for_seconds: Option<u32>,
    /// The key is held only until the job starts.
    #[serde(default)]
    unique_until_started: bool,
    /// A job that holds the key and has not started is cancelled, and this one takes its place.
    #[serde(default)]
    replace: bool,
    /// Waits for the last of many with the key.
    debounce: Option<Debounce>,
    /// Of all jobs with this key, such as shop:42, of whatever kind, so many run at once as its limit says; a name as the queue's.
    #[schemars(length(min = 1, max = 500))]
    limit_key: Option<String>,
    /// A cap under the retry policy's own.
    #[schemars(range(min = 1))]
    max_attempts: Option<i16>,
}

/// How long to wait for another of the same key, which takes this one's place.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Debounce {
    /// From the last one.
    wait_seconds: u32,
    /// From the first one.
    at_most_seconds: u32,
}

/// One job, or many that are enqueued together or not at all.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used: which of the two is meant is decided by the member `jobs`")]
pub(super) enum EnqueueRequest {
    Many(ManyRequest),
    One(JobRequest),
}

/// Jobs that are enqueued together or not at all.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ManyRequest {
    /// 1000 at most.
    #[schemars(length(min = 1, max = AT_MOST))]
    jobs: Vec<JobRequest>,
}

/// What became of a request: of one job, or of many in their order.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum EnqueueAnswer {
    Many(ManyAnswer),
    One(JobAnswer),
}

/// What became of many jobs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ManyAnswer {
    /// In the order of the request.
    jobs: Vec<JobAnswer>,
}

/// What became of one job of the request.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JobAnswer {
    /// The job: new, or the one that holds the key.
    #[schemars(with = "String")]
    id: JobId,
    /// Whether this request made it.
    created: bool,
    /// How many jobs of its queue may run now, as counted a second ago.
    queue_depth: i64,
    /// For how many milliseconds the first of them has been there.
    queue_age_ms: i64,
}

/// `POST /v1/jobs`
pub(super) async fn enqueue(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = body::read(&headers, body).await?;
    let key = idempotency_key(&headers)?;
    let shape: Value = json(&bytes)?;
    let jobs = shape.get("jobs").and_then(Value::as_array).map_or_else(|| std::slice::from_ref(&shape), Vec::as_slice);
    if !shape.is_object() || jobs.iter().any(|job| !job.is_object()) {
        return Err(Problem::invalid("the body: send a job as an object, or several in the list `jobs`"));
    }
    if shape.get("jobs").is_none() {
        let enqueued = enqueue_all(&state, &caller, vec![parse(&bytes)?], key).await?.remove(0);
        let status = if enqueued.created { StatusCode::CREATED } else { StatusCode::OK };
        return Ok((status, Json(EnqueueAnswer::One(enqueued.into()))).into_response());
    }
    let many: ManyRequest = parse(&bytes)?;
    if many.jobs.is_empty() || many.jobs.len() > AT_MOST {
        return Err(Problem::invalid(format!("jobs: send from 1 to {AT_MOST} at a time")));
    }
    let enqueued = enqueue_all(&state, &caller, many.jobs, key).await?;
    let status = if enqueued.iter().any(|one| one.created) { StatusCode::CREATED } else { StatusCode::OK };
    let jobs = enqueued.into_iter().map(JobAnswer::from).collect();
    Ok((status, Json(EnqueueAnswer::Many(ManyAnswer { jobs }))).into_response())
}

impl From<Enqueued> for JobAnswer {
    fn from(Enqueued { id, created, queue_depth, queue_age_ms }: Enqueued) -> Self {
        Self { id, created, queue_depth, queue_age_ms }
    }
}

pub(super) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    // The parser would take the members of an object without their names, too.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::invalid("the body: send an object"));
    }
    json(bytes)
}

fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| Problem::invalid(format!("the body: {error}")))
}

pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    match key.to_str() {
        Ok(key) if (1..=KEY_LENGTH).contains(&key.len()) => Ok(Some(key.into())),
        _ => Err(Problem::invalid(format!("{IDEMPOTENCY_KEY}: send 1 to {KEY_LENGTH} visible ASCII characters"))),
    }
}

/// All of them in one transaction. A key makes each of them safe to send again, told apart by their places.
async fn enqueue_all(state: &AppState, caller: &Caller, jobs: Vec<JobRequest>, key: Option<String>) -> Result<Vec<Enqueued>, Problem> {
    let alone = jobs.len() == 1;
    let elsewhere: Vec<bool> = jobs.iter().map(|job| job.queue.is_some()).collect();
    let mut described = Vec::with_capacity(jobs.len());
    for (place, job) in jobs.into_iter().enumerate() {
        let job = describe(&state.kinds, job)
            .map_err(|why| if alone { Problem::invalid(why) } else { Problem::invalid(format!("jobs[{place}]: {why}")) })?;
        described.push(match &key {
            Some(key) => job.idempotency_key(&caller.0, of_place(key, place)),
            None => job,
        });
    }
    let mut tx = super::begin(state).await?;
    lanes::admit(&mut tx, described.iter().zip(elsewhere).filter_map(|(job, elsewhere)| elsewhere.then_some(job))).await?;
    let mut enqueued = Vec::with_capacity(described.len());
    for (place, job) in described.iter().enumerate() {
        let made = engine::enqueue_in(&mut tx, job).await.map_err(Problem::from);
        enqueued.push(made.map_err(|why| if alone { why } else { why.of_part(&format!("jobs[{place}]")) })?);
    }
    if let Some(key) = &key {
        sent_whole(&mut tx, caller, key, enqueued.len()).await?;
    }
    tx.commit().await?;
    Ok(enqueued)
}

/// The key of one of several jobs. The first has the request's own, whatever their number: of two requests at one time the one that
/// comes second waits there for the other's commit. No header holds the sign between, so that no other request has such a key.
fn of_place(key: &str, place: usize) -> String {
    if place == 0 { key.into() } else { format!("{key} · {place}") }
}

/// Refuses a key that was used for more jobs, or fewer: each of them alone would be known, or new.
async fn sent_whole(tx: &mut sqlx::PgConnection, caller: &Caller, key: &str, jobs: usize) -> Result<(), Problem> {
    let keys: Vec<_> = (0..jobs).map(|place| of_place(key, place)).collect();
    let asking = sqlx::query_scalar(include_str!("../sql/enqueue_key/sent_whole.sql")).bind(&caller.0).bind(keys).bind(of_place(key, jobs));
    if asking.fetch_one(tx).await? {
        return Ok(());
    }
    Err(Problem::new(StatusCode::CONFLICT, format!("idempotency key {key} was used before for another number of jobs: use a new key")))
}

fn describe(kinds: &Kinds, job: JobRequest) -> Result<NewJob, String> {
    if job.priority.is_some_and(|priority| !(0..=9).contains(&priority)) {
        return Err("priority: a number from 0, which runs first, to 9".into());
    }
    if job.max_attempts.is_some_and(|attempts| attempts < 1) {
        return Err("max_attempts: a number from 1".into());
    }
    Ok(with_options(kinds.job(&job.kind, job.args.clone())?, job))
}

fn with_options(mut new: NewJob, job: JobRequest) -> NewJob {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    if let Some(queue) = job.queue {
        new = new.queue(queue);
    }
    if let Some(priority) = job.priority {
        new = new.priority(priority);
    }
    for (asked, option) in [
        (job.unique_args, NewJob::unique_args as fn(NewJob) -> NewJob),
        (job.unique_until_started, NewJob::unique_until_started),
        (job.replace, NewJob::replace),
    ] {
        new = if asked { option(new) } else { new };
    }
    if let Some(at) = job.run_at {
        new = new.run_at(at);
    }
    if let Some(at) = job.deadline {
        new = new.deadline(at);
    }
    if let Some(key) = job.unique_key {
        new = new.unique_key(key);
    }
    if let Some(period) = job.unique_for_seconds {
        new = new.unique_for(seconds(period));
    }
    if let Some(debounce) = job.debounce {
        new = new.debounce(seconds(debounce.wait_seconds), seconds(debounce.at_most_seconds));
    }
    if let Some(key) = job.limit_key {
        new = new.limit_key(key);
    }
    match job.max_attempts {
        Some(attempts) => new.max_attempts(attempts),
        None => new,
    }
}
