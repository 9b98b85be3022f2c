//! Say what fails: the notices of the engine become alerts, and what was counted meanwhile is told.
//!
//! notices -> one alert a kind and category, with a count; windows that are over -> posted; what fails no more -> over
//!
//! Started by  schedules, every minute
//! Unique by   schedule
//!
//! The engine writes a notice when a failure has the number of the policy's `alert_on_attempt` (a warning) or
//! `escalate_on_attempt` (critical), and at each death. Ten thousand of them are one message. Alerts that cannot be
//! posted make no alerts: nobody would see them; alert_log and the dead letters show them.

use engine::{Job, JobResult, Run, Tx};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clients::http::redacted;

/// Notices of one transaction.
const BATCH: i32 = 50_000;
/// Transactions of one run: what is left waits for the next minute.
const ROUNDS: usize = 4;

/// Reports once.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
pub struct ReportFailures {}

/// Notices of one kind, category and level.
#[derive(Debug, sqlx::FromRow)]
struct Group {
    level: String,
    queue: String,
    kind: String,
    category: Option<String>,
    times: i32,
    jobs: Vec<i64>,
    attempt: i32,
    error: Option<String>,
}

impl Job for ReportFailures {
    const KIND: &'static str = "alerts.report_failures";
    const QUEUE: &'static str = "alerts";
    const PRIORITY: i16 = 1;

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut reported = 0;
        for _ in 0..ROUNDS {
            let mut tx = run.begin().await?;
            let taken = report(&mut tx).await?;
            tx.commit().await?;
            reported += taken;
            if taken < i64::from(BATCH) {
                break;
            }
        }
        let mut tx = run.begin().await?;
        let recovered: i32 = sqlx::query_scalar("select raw_ops.clear_failures()").fetch_one(&mut *tx).await?;
        let released: i32 = sqlx::query_scalar("select raw_ops.release_alerts()").fetch_one(&mut *tx).await?;
        run.complete_in(tx, json!({ "reported": reported, "recovered": recovered, "released": released })).await
    }
}

/// Takes notices away and raises their alerts, in the order of the keys that it locks. Returns how many notices it took.
async fn report(tx: &mut Tx) -> JobResult<i64> {
    let mut groups: Vec<Group> =
        sqlx::query_as("select level, queue, kind, category, times, jobs, attempt, error from engine.take_notices($1)")
            .bind(BATCH)
            .fetch_all(&mut **tx)
            .await?;
    let taken = groups.iter().map(|group| i64::from(group.times)).sum();
    groups.retain(|group| !group.kind.starts_with("alerts."));
    groups.sort_by(|a, b| (&a.kind, &a.category, &a.level).cmp(&(&b.kind, &b.category, &b.level)));
    for group in &groups {
        group.raise(tx).await?;
    }
    Ok(taken)
}

impl Group {
    async fn raise(&self, tx: &mut Tx) -> JobResult<()> {
        let category = self.category.as_deref().unwrap_or("unknown");
        let (severity, what) = match self.level.as_str() {
            "escalate" => ("critical", "fails again and again"),
            "dead" => ("warning", "failed for good"),
            _ => ("warning", "fails"),
        };
        sqlx::query("select from raw_ops.raise_alert($1, $2, $3, $4, key => $5, source_check => 'job_failures', times => $6)")
            .bind(severity)
            .bind(format!("{} {what}: {category}", self.kind))
            .bind(redacted(self.error.as_deref().unwrap_or("no reason is known")))
            .bind(self.fields(category))
            .bind(format!("failures {} {category}", self.kind))
            .bind(self.times)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    fn fields(&self, category: &str) -> Value {
        let field = |label: &str, value: String| json!({ "label": label, "value": value, "inline": true });
        let jobs = self.jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let of = if self.times as usize > self.jobs.len() { format!(" of {}", self.times) } else { String::new() };
        json!([
            field("Kind", self.kind.clone()),
            field("Queue", self.queue.clone()),
            field("Category", category.into()),
            field("Attempt", self.attempt.to_string()),
            field("Jobs", format!("{jobs}{of}")),
        ])
    }
}
