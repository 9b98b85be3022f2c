//! Run one monitor.
//!
//! check -> its function looks -> a row of raw_ops.monitoring_runs; an alert, or the end of one
//!
//! Started by  schedules, each check by its own; POST /functions/v1/run-monitor
//! Unique by   schedule; over HTTP by check, while a run of it lives
//! Retried     when the check itself fails, which is an alert too: a monitor that cannot look is no good news
//!
//! Alerts of a check have one key, so one that goes on is told once a window and its end once. The digest of a day has a
//! key of its own each day, so running it again tells nobody twice.

use std::time::Instant;

use engine::{Failure, Job, JobResult, Run, Tx};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::Check;

const RECORD_SUCCESS: &str = "insert into raw_ops.monitoring_runs
    (check_name, run_at, duration_ms, status, result_summary, result_json, alert_triggered)
values ($1, engine.now(), $2, 'success', $3, $4, $5) returning id";
const RECORD_ERROR: &str = "insert into raw_ops.monitoring_runs
    (check_name, run_at, duration_ms, status, error_message, alert_triggered)
values ($1, engine.now(), $2, 'error', $3, true) returning id";

/// Looks once.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct RunMonitor {
    /// What is looked at.
    pub check: Check,
}

/// What a monitor says; `raw_ops.monitor_answer` makes it.
#[derive(Debug, Deserialize)]
struct Answer {
    alert_triggered: bool,
    severity: String,
    title: String,
    message: String,
    fields: Value,
}

impl Job for RunMonitor {
    const KIND: &'static str = "monitors.run_monitor";
    const QUEUE: &'static str = "monitors";
    const PRIORITY: i16 = 1;

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let begun = Instant::now();
        let mut tx = run.begin().await?;
        let answer: Value = match sqlx::query_scalar(self.check.statement()).fetch_one(&mut *tx).await {
            Ok(answer) => answer,
            Err(error) if error.as_database_error().is_some() => {
                drop(tx);
                return self.report_blindness(run, begun, error).await;
            }
            Err(error) => return Err(error.into()),
        };
        let told: Answer =
            serde_json::from_value(answer.clone()).map_err(|error| Failure::bug(format!("no answer of a monitor: {error}")))?;
        let run_id: Uuid = sqlx::query_scalar(RECORD_SUCCESS)
            .bind(self.check.name())
            .bind(milliseconds_since(begun))
            .bind(&told.message)
            .bind(&answer)
            .bind(told.alert_triggered)
            .fetch_one(&mut *tx)
            .await?;
        self.tell(&mut tx, &told, run_id).await?;
        run.complete_in(tx, answer).await
    }
}

impl RunMonitor {
    async fn tell(&self, tx: &mut Tx, told: &Answer, run_id: Uuid) -> JobResult<()> {
        sqlx::query("select raw_ops.clear_alert($1, $2, 'it can look again')")
            .bind(self.key_of_blindness())
            .bind(self.title_of_blindness())
            .execute(&mut **tx)
            .await?;
        if !told.alert_triggered {
            let clearing = sqlx::query("select raw_ops.clear_alert($1, $2, $3)").bind(self.key(told)).bind(&told.title).bind(&told.message);
            clearing.execute(&mut **tx).await?;
            return Ok(());
        }
        sqlx::query("select from raw_ops.raise_alert($1, $2, $3, $4, key => $5, source_check => $6, run_id => $7)")
            .bind(&told.severity)
            .bind(&told.title)
            .bind(&told.message)
            .bind(&told.fields)
            .bind(self.key(told))
            .bind(self.check.name())
            .bind(run_id)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The digest's title has its day.
    fn key(&self, told: &Answer) -> String {
        match self.check {
            Check::DailySnapshot => format!("monitor {}: {}", self.check.name(), told.title),
            _ => format!("monitor {}", self.check.name()),
        }
    }

    fn key_of_blindness(&self) -> String {
        format!("monitor {} cannot look", self.check.name())
    }

    fn title_of_blindness(&self) -> String {
        format!("Monitor {} cannot look", self.check.name())
    }

    /// Keeps the error with the runs and raises an alert, whatever becomes of this job.
    async fn report_blindness(&self, run: &Run, begun: Instant, error: sqlx::Error) -> JobResult {
        let reason = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
        let mut tx = run.begin().await?;
        let run_id: Uuid = sqlx::query_scalar(RECORD_ERROR)
            .bind(self.check.name())
            .bind(milliseconds_since(begun))
            .bind(&reason)
            .fetch_one(&mut *tx)
            .await?;
        sqlx::query("select from raw_ops.raise_alert('critical', $1, $2, key => $3, source_check => $4, run_id => $5)")
            .bind(self.title_of_blindness())
            .bind(&reason)
            .bind(self.key_of_blindness())
            .bind(self.check.name())
            .bind(run_id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Err(error.into())
    }
}

fn milliseconds_since(begun: Instant) -> i32 {
    begun.elapsed().as_millis().try_into().unwrap_or(i32::MAX)
}
