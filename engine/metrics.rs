//! What this process counts, and what the database holds, as Prometheus text.

mod kinds;

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use sqlx::{PgConnection, PgPool};

use crate::{
    Category,
    store::{self, attempt::Verdict, claim::Claimed, sql},
};

/// Figures older than this are measured by whoever asks for them.
const STALE: Duration = Duration::from_secs(10);

static LATE: AtomicU64 = AtomicU64::new(0);
static PICKUP_SUM_US: AtomicU64 = AtomicU64::new(0);
/// Upper bounds of the pickup histogram, in seconds.
const PICKUP_BOUNDS: [f64; 10] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0];
static PICKUP: [AtomicU64; 11] = [const { AtomicU64::new(0) }; 11];
const OUTCOMES: [&str; 6] = ["completed", "failed", "snoozed", "released", "waiting", "cancelled"];
static ENDED: [AtomicU64; 6] = [const { AtomicU64::new(0) }; 6];
/// By category; the last one counts those of the application's own.
static FAILED: [AtomicU64; Category::ALL.len() + 1] = [const { AtomicU64::new(0) }; Category::ALL.len() + 1];

pub(crate) fn late() {
    LATE.fetch_add(1, Ordering::Relaxed);
}

/// The time from enqueue to claim of first attempts. Both ends are this machine's and the database's clock, so a
/// skewed clock shows here; nothing is decided by it.
pub(crate) fn picked_up(job: &Claimed) {
    let (1, Some(created_at)) = (job.attempt, job.created_at) else { return };
    let waited = (chrono::Utc::now() - created_at).num_microseconds().unwrap_or(0).max(0);
    let seconds = waited as f64 / 1e6;
    let bucket = PICKUP_BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(PICKUP_BOUNDS.len());
    PICKUP[bucket].fetch_add(1, Ordering::Relaxed);
    PICKUP_SUM_US.fetch_add(waited as u64, Ordering::Relaxed);
    kinds::started(&job.kind, seconds);
}

/// An attempt of this kind ran so long, however it ended.
pub(crate) fn ran(kind: &str, time: Duration) {
    kinds::ran(kind, time);
}

pub(crate) fn ended(verdict: &Verdict) {
    if let Some(index) = OUTCOMES.iter().position(|outcome| *outcome == verdict.outcome()) {
        ENDED[index].fetch_add(1, Ordering::Relaxed);
    }
    if let Verdict::Failed { category, .. } = verdict {
        let index = Category::ALL.iter().position(|known| known == category).unwrap_or(Category::ALL.len());
        FAILED[index].fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts what stands where, for everybody to look up, unless that was done within `fresh`; false when it was. Workers do
/// it once a second, one for all of them.
///
/// # Errors
/// The database's.
pub async fn measure(connection: &mut PgConnection, fresh: Duration) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql!("metrics/measure")).bind(fresh.as_millis() as i32).fetch_one(connection).await
}

/// Counts the attempts that ended since the last call into their minutes; returns how many.
///
/// # Errors
/// The database's.
pub async fn roll_up(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql!("metrics/roll_up")).fetch_one(connection).await
}

/// The metrics of this process and of the database, in Prometheus' text format.
///
/// # Errors
/// The database's.
pub async fn render(pool: &PgPool) -> Result<String, sqlx::Error> {
    let mut out = String::new();
    database(pool, &mut out).await?;
    process(&mut out);
    Ok(out)
}

async fn database(pool: &PgPool, out: &mut String) -> Result<(), sqlx::Error> {
    // Where no worker lives nobody measures, and just then it matters; a role that may not measure shows what there is.
    if let Err(error) = measure(&mut *pool.acquire().await?, STALE).await {
        if error.as_database_error().is_none() {
            return Err(error);
        }
        tracing::debug!(%error, "the figures are shown as they were last measured");
    }
    let queues: Vec<(String, i64, f64, i64)> = sqlx::query_as(sql!("metrics/queues")).fetch_all(pool).await?;
    head(out, "rawops_queue_ready", "gauge", "Jobs that may run now.");
    for (queue, depth, ..) in &queues {
        line(out, "rawops_queue_ready", &[("queue", queue)], *depth as f64);
    }
    head(out, "rawops_queue_oldest_seconds", "gauge", "Age of the oldest job that may run now.");
    for (queue, _, age, _) in &queues {
        line(out, "rawops_queue_oldest_seconds", &[("queue", queue)], *age);
    }
    head(out, "rawops_queue_scheduled", "gauge", "Jobs that run at a time.");
    for (queue, .., scheduled) in &queues {
        line(out, "rawops_queue_scheduled", &[("queue", queue)], *scheduled as f64);
    }
    let attempts: Vec<(String, String, i64)> = sqlx::query_as(sql!("metrics/attempts")).fetch_all(pool).await?;
    head(out, "rawops_attempts_last_hour", "gauge", "Attempts that ended in the last hour, by outcome and category.");
    for (outcome, category, count) in &attempts {
        line(out, "rawops_attempts_last_hour", &[("outcome", outcome), ("category", category)], *count as f64);
    }
    let (scheduled, claims, claimed, dead, age): (i64, i64, i64, i64, Option<f64>) =
        sqlx::query_as(sql!("metrics/places")).fetch_one(pool).await?;
    for (name, help, value) in [
        ("rawops_scheduled_jobs", "Jobs that run at a time.", scheduled as f64),
        ("rawops_claims", "Batches that workers hold.", claims as f64),
        ("rawops_claimed_jobs", "Jobs of those batches.", claimed as f64),
        ("rawops_dead_letters_open", "Dead letters nobody has dealt with.", dead as f64),
        ("rawops_figures_age_seconds", "How long ago the database's figures were measured.", age.unwrap_or(f64::NAN)),
    ] {
        head(out, name, "gauge", help);
        line(out, name, &[], value);
    }
    duties(&store::duty::list(pool).await?, out);
    breakers(&sqlx::query_as(sql!("metrics/breakers")).fetch_all(pool).await?, out);
    Ok(())
}

fn duties(duties: &[store::duty::Health], out: &mut String) {
    head(out, "rawops_duty_seconds_since_success", "gauge", "How long ago each duty of the house succeeded.");
    for duty in duties {
        line(out, "rawops_duty_seconds_since_success", &[("duty", &duty.name)], duty.seconds_since_success);
    }
    head(out, "rawops_duty_failures", "gauge", "How often each duty has failed in a row.");
    for duty in duties {
        line(out, "rawops_duty_failures", &[("duty", &duty.name)], f64::from(duty.failures));
    }
    head(out, "rawops_duty_overdue", "gauge", "1 when a duty has not succeeded for five of its periods and half a minute.");
    for duty in duties {
        line(out, "rawops_duty_overdue", &[("duty", &duty.name)], f64::from(u8::from(duty.overdue)));
    }
}

fn breakers(breakers: &[(String, String, bool, f64)], out: &mut String) {
    head(out, "rawops_breaker_state", "gauge", "The breaker of each outside system: 0 closed, 1 half open, 2 open.");
    for (system, state, ..) in breakers {
        let value = match state.as_str() {
            "closed" => 0.0,
            "half_open" => 1.0,
            _ => 2.0,
        };
        line(out, "rawops_breaker_state", &[("system", system)], value);
    }
    head(out, "rawops_breaker_held", "gauge", "1 when an operator holds a breaker open or closed.");
    for (system, _, held, _) in breakers {
        line(out, "rawops_breaker_held", &[("system", system)], f64::from(u8::from(*held)));
    }
    head(out, "rawops_breaker_seconds", "gauge", "For how long each breaker has been closed, or has not.");
    for (system, .., seconds) in breakers {
        line(out, "rawops_breaker_seconds", &[("system", system)], *seconds);
    }
}

fn process(out: &mut String) {
    head(out, "rawops_attempts_total", "counter", "Attempts that ended in this process, by outcome.");
    for (outcome, count) in OUTCOMES.iter().zip(&ENDED) {
        line(out, "rawops_attempts_total", &[("outcome", outcome)], count.load(Ordering::Relaxed) as f64);
    }
    head(out, "rawops_failures_total", "counter", "Attempts that failed in this process, by category.");
    for (category, count) in Category::ALL.into_iter().chain([Category::Other("other")]).zip(&FAILED) {
        line(out, "rawops_failures_total", &[("category", category.as_str())], count.load(Ordering::Relaxed) as f64);
    }
    head(out, "rawops_late_results_total", "counter", "Results refused because the attempt had ended before.");
    line(out, "rawops_late_results_total", &[], LATE.load(Ordering::Relaxed) as f64);
    head(out, "rawops_pickup_seconds", "histogram", "Time from enqueue to claim of first attempts.");
    let mut sum = 0;
    for (bound, count) in PICKUP_BOUNDS.iter().map(ToString::to_string).chain(["+Inf".into()]).zip(&PICKUP) {
        sum += count.load(Ordering::Relaxed);
        line(out, "rawops_pickup_seconds_bucket", &[("le", &bound)], sum as f64);
    }
    line(out, "rawops_pickup_seconds_sum", &[], PICKUP_SUM_US.load(Ordering::Relaxed) as f64 / 1e6);
    line(out, "rawops_pickup_seconds_count", &[], sum as f64);
    kinds::render(out);
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, labels: &[(&str, &str)], value: f64) {
    let labels: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")))
        .collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let _ = writeln!(out, "{name}{labels} {value}");
}
