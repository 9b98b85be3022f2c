//! The ledger: how attempts end.

use std::borrow::Borrow;

use sqlx::{PgConnection, PgPool, types::Json};

use super::{StoreError, parked::Suspension, sql, storable};
use crate::{Category, Ending, JobId, failpoint::around, jsonb, retry};

/// The most bytes of an error text that the ledger keeps.
const ERROR_LIMIT: usize = 16 * 1024;
/// The most bytes of an output that the ledger keeps.
const OUTPUT_LIMIT: usize = 1024 * 1024;
/// How long ends wait for a lock that somebody's open transaction holds, of their unique keys above all.
const PATIENCE: &str = "500ms";

/// How one attempt ended, as the worker saw it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each says of one table whether the job may have a row there")]
pub struct Ended {
    /// The claim it belongs to.
    pub claim_id: i64,
    /// The lane it came from; 0 when it was not handed over.
    pub lane_id: i32,
    /// The job.
    pub job_id: JobId,
    /// The number of the run.
    pub attempt: i32,
    /// How long it ran, in microseconds.
    pub run_us: i64,
    /// Whether the job holds a unique key.
    pub unique_key: bool,
    /// Whether the job was made on behalf of another, whose child it may be.
    pub has_parent: bool,
    /// Whether the job may hold a slot of its limit key.
    pub limited: bool,
    /// Whether its claim may have permits of its queue or kind.
    pub permitted: bool,
    /// Whether it is one of a run, of which only the last has the slot.
    pub in_run: bool,
    /// Up to which position the line of its key was taken with it; 0 where nobody knows.
    pub taken_to: i64,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of an attempt.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Recorded already, by the handler's own transaction.
    Settled,
    /// Completed, with this output.
    Completed(serde_json::Value),
    /// Failed; the policy decides.
    Failed {
        /// Selects the policy.
        category: Category,
        /// For the operator.
        message: String,
        /// What the other side asked for, in milliseconds.
        retry_after_ms: Option<i64>,
    },
    /// Runs again after so many milliseconds, nothing burnt.
    Snoozed(i64),
    /// A workflow waits: nothing burnt.
    Waiting(Suspension),
    /// Never ran, or was stopped by a shutdown: ready again, in front, nothing burnt; a suspect stays one.
    Released,
    /// Stopped for good, and no failure.
    Cancelled(String),
    /// Came up after its deadline, and did not run.
    Stale,
}

impl Verdict {
    /// The outcome as the ledger spells it.
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Settled | Self::Completed(_) => "completed",
            Self::Failed { .. } => "failed",
            Self::Snoozed(_) => "snoozed",
            Self::Waiting(_) => "waiting",
            Self::Released => "released",
            Self::Cancelled(_) | Self::Stale => "cancelled",
        }
    }
}

/// Attempts that somebody else ended first.
pub type Late = Vec<(JobId, i32)>;

/// An output that the ledger takes, and how many bytes it has: the handler's own, or what is said in its place.
pub(crate) fn storable_output(job_id: JobId, output: serde_json::Value) -> (serde_json::Value, usize) {
    if output.is_null() {
        return (output, 0);
    }
    let text = output.to_string();
    if text.len() > OUTPUT_LIMIT {
        tracing::warn!(job.id = %job_id, bytes = text.len(), limit = OUTPUT_LIMIT, "the output is not kept: it is too large");
        return (serde_json::json!({ "cut": format!("the output had {} bytes, {OUTPUT_LIMIT} are kept at most", text.len()) }), 0);
    }
    if jsonb::holds_nul(&text) {
        return (serde_json::json!({ "refused": "the output holds a NUL character, which jsonb cannot store" }), 0);
    }
    (output, text.len())
}

/// An output as the ledger stores it.
fn stored(output: &serde_json::Value) -> Option<Json<&serde_json::Value>> {
    (!output.is_null()).then_some(Json(output))
}

/// How a job ended; `None` while it has not.
///
/// # Errors
/// [`StoreError::NoSuchJob`]; otherwise the database's.
pub async fn ending(pool: &PgPool, job_id: JobId) -> Result<Option<Ending>, StoreError> {
    type Last = (Option<String>, Option<Json<serde_json::Value>>, Option<String>, Option<String>);
    let last: Option<Last> = sqlx::query_as(sql!("attempt/ending")).bind(job_id).fetch_optional(pool).await?;
    let (outcome, output, category, error) = last.ok_or(StoreError::NoSuchJob(job_id))?;
    Ok(match outcome.as_deref() {
        None => None,
        Some("completed") => Some(Ending::Completed(output.map_or(serde_json::Value::Null, |output| output.0))),
        Some("cancelled") => Some(Ending::Cancelled(error)),
        Some(_) => Some(Ending::Dead { category, error }),
    })
}

/// Records attempts that completed, with outputs that the ledger takes, and drops the claims in `closing`.
///
/// # Errors
/// The database's, also when somebody holds a lock for longer than ends wait.
pub async fn complete(
    connection: &mut PgConnection,
    worker_id: i64,
    ended: &[impl Borrow<Ended> + Sync],
    closing: &[i64],
) -> Result<Late, sqlx::Error> {
    let ended: Vec<&Ended> = ended.iter().map(Borrow::borrow).collect();
    complete_within(connection, worker_id, &ended, closing, Some(PATIENCE)).await
}

async fn complete_within(
    connection: &mut PgConnection,
    worker_id: i64,
    ended: &[&Ended],
    closing: &[i64],
    patience: Option<&str>,
) -> Result<Late, sqlx::Error> {
    let outputs: Vec<Option<Json<&serde_json::Value>>> = ended
        .iter()
        .map(|end| match &end.verdict {
            Verdict::Completed(output) => stored(output),
            _ => None,
        })
        .collect();
    let completing = sqlx::query_as(sql!("attempt/complete"))
        .bind(worker_id)
        .bind(ended.iter().map(|end| end.job_id).collect::<Vec<_>>())
        .bind(ended.iter().map(|end| end.attempt).collect::<Vec<_>>())
        .bind(ended.iter().map(|end| end.run_us).collect::<Vec<_>>())
        .bind(outputs)
        .bind(ended.iter().filter(|end| end.unique_key).map(|end| end.job_id).collect::<Vec<_>>())
        .bind(closing)
        .bind(ended.iter().filter(|end| end.has_parent).map(|end| end.job_id).collect::<Vec<_>>())
        .bind(ended.iter().filter(|end| end.limited).map(|end| end.job_id).collect::<Vec<_>>())
        .bind(ended.iter().filter(|end| end.permitted).map(|end| end.job_id).collect::<Vec<_>>())
        .bind(ended.iter().filter(|end| end.permitted).map(|end| end.claim_id).collect::<Vec<_>>())
        .bind(ended.iter().filter(|end| end.limited).map(|end| end.taken_to).collect::<Vec<_>>())
        .bind(patience)
        .fetch_all(connection);
    around("attempt/complete", completing).await
}

/// Which of these jobs have a unique key that somebody's transaction holds: their ends wait for it.
///
/// # Errors
/// The database's.
pub async fn held(connection: &mut PgConnection, jobs: &[JobId]) -> Result<Vec<JobId>, sqlx::Error> {
    sqlx::query_scalar(sql!("attempt/held")).bind(jobs).fetch_all(connection).await
}

/// Records one completion inside a handler's transaction; true when the attempt had ended before.
///
/// # Errors
/// The database's.
pub async fn complete_one(
    connection: &mut PgConnection,
    worker_id: i64,
    claim_id: i64,
    (job_id, attempt): (JobId, i32),
    run_us: i64,
    output: &serde_json::Value,
) -> Result<bool, sqlx::Error> {
    let ended = Ended {
        claim_id,
        lane_id: 0,
        job_id,
        attempt,
        run_us,
        unique_key: true,
        has_parent: true,
        limited: true,
        permitted: true,
        in_run: false,
        taken_to: 0,
        verdict: Verdict::Completed(storable_output(job_id, output.clone()).0),
    };
    Ok(!complete_within(connection, worker_id, &[&ended], &[], None).await?.is_empty())
}

/// Records attempts of any outcome and does what follows from it; `jitter` is drawn from 0..1 for each.
///
/// # Errors
/// The database's, also when somebody holds a lock for longer than ends wait.
pub async fn settle(
    connection: &mut PgConnection,
    worker_id: i64,
    ended: &[impl Borrow<Ended> + Sync],
    jitter: &[f64],
    closing: &[i64],
) -> Result<Late, sqlx::Error> {
    let ended: Vec<&Ended> = ended.iter().map(Borrow::borrow).collect();
    let mut categories = Vec::with_capacity(ended.len());
    let mut errors = Vec::with_capacity(ended.len());
    let mut delays = Vec::with_capacity(ended.len());
    let mut outputs = Vec::with_capacity(ended.len());
    for (end, drawn) in ended.iter().zip(jitter) {
        let (category, error, delay, output) = match &end.verdict {
            Verdict::Failed { category, message, retry_after_ms } => {
                let asked = retry_after_ms.map(|asked_ms| retry::spread_ms(asked_ms, *drawn));
                (Some(category.as_str()), Some(storable(message, ERROR_LIMIT)), asked, None)
            }
            Verdict::Snoozed(delay) => (None, None, Some(*delay), None),
            Verdict::Cancelled(reason) => (None, Some(storable(reason, ERROR_LIMIT)), None, None),
            Verdict::Stale => (Some("deadline"), Some("its deadline had passed when it came up".into()), None, None),
            Verdict::Completed(output) => (None, None, None, stored(output)),
            Verdict::Released | Verdict::Waiting(_) | Verdict::Settled => (None, None, None, None),
        };
        categories.push(category);
        errors.push(error);
        delays.push(delay);
        outputs.push(output);
    }
    let waits: Vec<Option<&Suspension>> = ended
        .iter()
        .map(|end| match &end.verdict {
            Verdict::Waiting(why) => Some(why),
            _ => None,
        })
        .collect();
    let settling = sqlx::query_as(sql!("attempt/settle"))
        .bind(worker_id)
        .bind(ended.iter().map(|end| end.job_id).collect::<Vec<_>>())
        .bind(ended.iter().map(|end| end.attempt).collect::<Vec<_>>())
        .bind(ended.iter().map(|end| end.run_us).collect::<Vec<_>>())
        .bind(ended.iter().map(|end| end.verdict.outcome()).collect::<Vec<_>>())
        .bind(categories)
        .bind(errors)
        .bind(delays)
        .bind(jitter)
        .bind(outputs)
        .bind(closing)
        .bind(waits.iter().map(|wait| wait.and_then(Suspension::wake_at)).collect::<Vec<_>>())
        .bind(waits.iter().map(|wait| wait.and_then(Suspension::waits_for)).collect::<Vec<_>>())
        .bind(waits.iter().map(|wait| wait.and_then(Suspension::children)).collect::<Vec<_>>())
        .bind(ended.iter().filter(|end| end.permitted).map(|end| end.job_id).collect::<Vec<_>>())
        .bind(ended.iter().filter(|end| end.permitted).map(|end| end.claim_id).collect::<Vec<_>>())
        .bind(ended.iter().filter(|end| end.in_run).map(|end| end.job_id).collect::<Vec<_>>())
        .bind(PATIENCE)
        .fetch_all(connection);
    around("attempt/settle", settling).await
}
