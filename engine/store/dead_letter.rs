//! Dead letters: what failed for good, until an operator deals with it.

mod causes;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sqlx::{PgConnection, PgPool, postgres::PgDatabaseError, types::Json};
use uuid::Uuid;

pub use causes::{Cause, causes};

use super::{StoreError, job, sql, storable};
use crate::{JobId, failpoint::around, sqlstate};

/// A dead letter.
#[derive(Debug, Clone, serde::Serialize, sqlx::FromRow)]
pub struct Letter {
    /// Its identity.
    pub id: Uuid,
    /// The kind of the job.
    pub topic: String,
    /// The queue it ran in.
    pub queue: Option<String>,
    /// The job that died.
    pub job_id: Option<JobId>,
    /// The error category that decided.
    pub category: Option<String>,
    /// Groups letters of one cause.
    pub fingerprint: Option<String>,
    /// The last error.
    pub error_message: Option<String>,
    /// How often it ran.
    pub attempts: Option<i32>,
    /// The arguments.
    pub payload: Json<Box<RawValue>>,
    /// When it died.
    pub created_at: DateTime<Utc>,
    /// Whether it was dealt with.
    pub resolved: bool,
    /// When it was dealt with.
    pub resolved_at: Option<DateTime<Utc>>,
    /// By whom.
    pub resolved_by: Option<String>,
    /// How.
    pub resolution: Option<String>,
    /// The job that took its place.
    pub requeued_job_id: Option<JobId>,
}

/// A dead letter without its arguments, which may be large.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Envelope {
    /// The letter.
    pub id: Uuid,
    /// The kind of the job.
    pub topic: String,
    /// The queue it ran in.
    pub queue: Option<String>,
    /// The job that died.
    pub job_id: Option<JobId>,
    /// The error category that decided.
    pub category: Option<String>,
    /// Groups letters of one cause.
    pub fingerprint: Option<String>,
    /// The last error.
    pub error_message: Option<String>,
    /// How often it ran.
    pub attempts: Option<i32>,
    /// When it died.
    pub created_at: DateTime<Utc>,
    /// The job that runs in its place.
    pub requeued_job_id: Option<JobId>,
}

/// Which letters to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only of this category.
    pub category: Option<String>,
    /// Only of this cause: see [`causes()`].
    pub fingerprint: Option<String>,
    /// Also those dealt with.
    pub resolved: bool,
}

/// Letters, newest first.
///
/// # Errors
/// The database's.
pub async fn list(pool: &PgPool, filter: &Filter, limit: i64) -> Result<Vec<Letter>, sqlx::Error> {
    sqlx::query_as(sql!("dead_letter/list"))
        .bind(&filter.kind)
        .bind(&filter.category)
        .bind(filter.resolved)
        .bind(limit)
        .bind(&filter.fingerprint)
        .fetch_all(pool)
        .await
}

/// Up to `limit` letters that nobody has dealt with, newest first: none that came before `since`, and those behind the last one of the
/// page before. [`Filter::resolved`] plays no part.
///
/// # Errors
/// The database's.
pub async fn page(
    connection: &mut PgConnection,
    filter: &Filter,
    since: Option<DateTime<Utc>>,
    after: Option<Open>,
    limit: i64,
) -> Result<Vec<Envelope>, sqlx::Error> {
    let (created_at, id) = after.map(|after| (after.created_at, after.id)).unzip();
    sqlx::query_as(sql!("dead_letter/page"))
        .bind(&filter.kind)
        .bind(&filter.category)
        .bind(since)
        .bind(created_at)
        .bind(id)
        .bind(limit)
        .bind(&filter.fingerprint)
        .fetch_all(connection)
        .await
}

/// The letter of a job that died; the one that is open, should there be others.
///
/// # Errors
/// [`StoreError::NoLetterOfJob`]; otherwise the database's.
pub async fn of_job(connection: &mut PgConnection, job: JobId) -> Result<Envelope, StoreError> {
    sqlx::query_as(sql!("dead_letter/of_job")).bind(job).fetch_optional(connection).await?.ok_or(StoreError::NoLetterOfJob(job))
}

/// One letter.
///
/// # Errors
/// [`StoreError::NoSuchLetter`]; otherwise the database's.
pub async fn show(pool: &PgPool, id: Uuid) -> Result<Letter, StoreError> {
    sqlx::query_as(sql!("dead_letter/show")).bind(id).fetch_optional(pool).await?.ok_or(StoreError::NoSuchLetter(id))
}

/// Runs a dead letter's job again, as a new job with a clean count of attempts; `args` replaces its arguments.
///
/// Two operators at once make one job: the letter is locked, and the second sees that it is resolved.
///
/// ```no_run
/// use engine::store::dead_letter::{self, Filter};
///
/// # async fn example(pool: sqlx::PgPool) -> Result<(), engine::StoreError> {
/// let of_bank = Filter { kind: Some("shop.charge".into()), category: Some("upstream".into()), ..Filter::default() };
/// for letter in dead_letter::list(&pool, &of_bank, 20).await? {
///     let job = dead_letter::requeue(&pool, letter.id, "ann", None).await?;
///     println!("{} runs again as job {job}", letter.topic);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`StoreError::LetterResolved`], [`StoreError::LetterKeyHeld`], [`StoreError::NoSuchLetter`],
/// [`StoreError::LetterWithoutJob`]; [`StoreError::QueueFull`] and [`StoreError::ArgumentsTooLarge`], as of any other job; otherwise
/// the database's.
pub async fn requeue(pool: &PgPool, id: Uuid, by: &str, args: Option<Box<RawValue>>) -> Result<JobId, StoreError> {
    requeue_in(&mut *pool.acquire().await?, id, by, args).await
}

/// As [`requeue`], in the caller's transaction.
///
/// # Errors
/// As [`requeue`].
pub async fn requeue_in(connection: &mut PgConnection, id: Uuid, by: &str, args: Option<Box<RawValue>>) -> Result<JobId, StoreError> {
    let requeueing = sqlx::query_scalar(sql!("dead_letter/requeue")).bind(id).bind(by).bind(args.map(Json)).fetch_one(connection);
    around("dead_letter/requeue", requeueing).await.map_err(|error| refused(id, error))
}

/// What became of one letter of [`requeue_many`].
#[derive(Debug)]
pub struct Requeued {
    /// The letter.
    pub letter: Uuid,
    /// The job that took its place; else why it stays, as [`requeue`] says it.
    pub job: Result<JobId, StoreError>,
}

#[derive(sqlx::FromRow)]
struct Answer {
    letter: Uuid,
    job_id: Option<JobId>,
    code: Option<String>,
    why: Option<String>,
    detail: Option<String>,
    violated: Option<String>,
}

impl From<Answer> for Requeued {
    fn from(answer: Answer) -> Self {
        let Answer { letter, job_id, code, why, detail, violated } = answer;
        let stays = || {
            let (code, why) = (code.unwrap_or_default(), why.unwrap_or_default());
            let refusal = refusal(letter, &code, &why, &detail.unwrap_or_default(), violated.as_deref());
            refusal.unwrap_or(StoreError::Refused(why))
        };
        Self { letter, job: job_id.ok_or_else(stays) }
    }
}

/// The most letters of one [`requeue_many`].
pub const MOST_AT_ONCE: usize = 50;
/// How often a requeue that met another one's locks is tried.
const TRIES: u32 = 5;

/// Runs the jobs of up to [`MOST_AT_ONCE`] dead letters again in one transaction, and answers in the order of their ids; of a letter
/// that has to stay the answer says why, and it keeps no other back; [`StoreError::Refused`] there is what the database says of a value.
/// `args` has other arguments for those that need them, one entry a letter; it may be empty.
///
/// # Errors
/// The database's, and [`StoreError::Refused`] for too many letters, or when `args` is neither empty nor as long as they are. Then no
/// letter is requeued.
pub async fn requeue_many(pool: &PgPool, letters: &[Uuid], by: &str, args: &[Option<Box<RawValue>>]) -> Result<Vec<Requeued>, StoreError> {
    let args = (!args.is_empty()).then(|| args.iter().map(|args| args.clone().map(Json)).collect::<Vec<_>>());
    let mut tries = 1;
    loop {
        let requeueing = sqlx::query_as::<_, Answer>(sql!("dead_letter/requeue_many")).bind(letters).bind(by).bind(&args).fetch_all(pool);
        match around("dead_letter/requeue_many", requeueing).await {
            // It holds the unique keys of many jobs, which others may take in another order.
            Err(error) if tries < TRIES && sqlstate::is_deadlock(&error) => tries += 1,
            came => return came.map(|answers| answers.into_iter().map(Into::into).collect()).map_err(job::refused),
        }
    }
}

/// An open letter, and when it came: where a next page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Open {
    /// The letter.
    pub id: Uuid,
    /// When its job died.
    pub created_at: DateTime<Utc>,
}

/// Up to `limit` letters that nobody has dealt with, oldest first: after one that was seen before, and none that came later than
/// `until`, so that a walk that runs jobs again ends. [`Filter::resolved`] plays no part.
///
/// # Errors
/// The database's.
pub async fn next_open(
    pool: &PgPool,
    filter: &Filter,
    until: DateTime<Utc>,
    after: Option<Open>,
    limit: i64,
) -> Result<Vec<Open>, sqlx::Error> {
    let after = after.unwrap_or(Open { id: Uuid::nil(), created_at: DateTime::UNIX_EPOCH });
    sqlx::query_as(sql!("dead_letter/next_open"))
        .bind(&filter.kind)
        .bind(&filter.category)
        .bind(after.created_at)
        .bind(after.id)
        .bind(limit)
        .bind(until)
        .bind(&filter.fingerprint)
        .fetch_all(pool)
        .await
}

/// Puts a dead letter away for good, for a reason that stays with it.
///
/// # Errors
/// [`StoreError::LetterResolved`], [`StoreError::NoSuchLetter`]; otherwise the database's.
pub async fn discard(pool: &PgPool, id: Uuid, by: &str, reason: &str) -> Result<(), StoreError> {
    let reason = storable(&format!("discarded: {reason}"), 1024);
    let discarded = sqlx::query(sql!("dead_letter/discard")).bind(id).bind(by).bind(reason).execute(pool).await;
    discarded.map(drop).map_err(|error| refused(id, error))
}

fn refused(id: Uuid, error: sqlx::Error) -> StoreError {
    let said = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    let refusal = said.and_then(|said| refusal(id, said.code(), said.message(), said.detail().unwrap_or_default(), said.constraint()));
    refusal.unwrap_or_else(|| error.into())
}

/// The refusals of the functions, by their SQLSTATE; the detail of each says what is in the way.
fn refusal(id: Uuid, code: &str, why: &str, detail: &str, violated: Option<&str>) -> Option<StoreError> {
    match (code, detail.parse()) {
        ("RW010", _) => Some(StoreError::NoSuchLetter(id)),
        ("RW011", _) => Some(StoreError::LetterResolved(id, detail.to_string())),
        ("RW012", Ok(holder)) => Some(StoreError::LetterKeyHeld(id, holder)),
        ("RW013", _) => Some(StoreError::LetterWithoutJob(id)),
        _ => job::refusal(code, why, violated),
    }
}
