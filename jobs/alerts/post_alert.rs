//! Post one alert to Slack.
//!
//! row -> message -> row says `sent`, in the commit of this job's completion
//!
//! Started by  a row of raw_ops.alert_log that is pending
//! Unique by   row, while a job for it lives
//! Retried     after any failure that passes; what Slack refuses for good is a dead letter
//!
//! An alert that stands there twice does less harm than one that nobody sees: after an unknown outcome it is posted
//! again. What is raised again while the message is under way is counted, and told when the window is over.

use std::time::Duration;

use engine::{Failure, Job, JobResult, Outcome, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clients::{
    Outside,
    slack::{self, Alert, Channel, Field, Severity},
};

/// Posts the alert of this row.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct PostAlert {
    /// The row, in `raw_ops.alert_log`.
    pub alert_id: Uuid,
}

/// The row.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    channel: String,
    severity: String,
    title: String,
    payload_json: Value,
    delivery_status: Option<String>,
    repeats: i32,
    is_recovery: bool,
    raised_at: String,
}

impl Job for PostAlert {
    const KIND: &'static str = "alerts.post_alert";
    const QUEUE: &'static str = "alerts";
    const PRIORITY: i16 = 1;
    const TIMEOUT: Duration = Duration::from_mins(1);
    const CALLS: Option<&'static str> = Some(slack::WEBHOOKS);

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let outside = run.shared::<Outside>()?;
        let Some(row) = self.read(run).await? else { return Ok(nothing_to_post(run, Some("gone"))) };
        // Failed ones come again when an operator requeues their dead letter.
        if !matches!(row.delivery_status.as_deref(), Some("pending" | "failed")) {
            return Ok(nothing_to_post(run, row.delivery_status.as_deref()));
        }
        let channel = Channel::of(&row.channel).ok_or_else(|| Failure::validation(format!("there is no channel {:?}", row.channel)))?;
        if let Err(wait) = outside.slack.turn(channel).await {
            return Ok(Outcome::Snooze(wait));
        }
        // What was raised while it waited is told too.
        let Some(row) = self.read(run).await? else { return Ok(nothing_to_post(run, Some("gone"))) };
        let posted = row.post(outside, channel, run).await;
        let mut tx = run.begin().await?;
        sqlx::query("select raw_ops.settle_alert($1, $2, $3)")
            .bind(self.alert_id)
            .bind(row.repeats)
            .bind(posted.as_ref().err().map(ToString::to_string))
            .execute(&mut *tx)
            .await?;
        match posted {
            Ok(()) => run.complete_in(tx, json!({ "channel": row.channel, "repeats": row.repeats })).await,
            Err(failure) => {
                tx.commit().await?;
                Err(failure)
            }
        }
    }
}

/// The alert is gone, or was dealt with.
fn nothing_to_post(run: &Run, status: Option<&str>) -> Outcome {
    run.called_nothing();
    Outcome::Done(json!({ "status": status }))
}

impl PostAlert {
    async fn read(&self, run: &Run) -> JobResult<Option<Row>> {
        let row = sqlx::query_as(
            "select channel, severity, title, payload_json, delivery_status, repeats, is_recovery,
                    to_char(sent_at at time zone 'Europe/London', 'YYYY-MM-DD HH24:MI') as raised_at
             from raw_ops.alert_log where id = $1",
        )
        .bind(self.alert_id)
        .fetch_optional(run.pool())
        .await?;
        Ok(row)
    }
}

impl Row {
    async fn post(&self, outside: &Outside, channel: Channel, run: &Run) -> JobResult<()> {
        let severity = match self.severity.as_str() {
            "critical" => Severity::Critical,
            "warning" => Severity::Warning,
            _ => Severity::Info,
        };
        let title = match self.repeats {
            _ if self.is_recovery => format!("Over: {}", self.title),
            1 => self.title.clone(),
            times => format!("{} (×{times})", self.title),
        };
        // Fields that are none do not keep the rest from being said.
        let fields: Vec<Field> = serde_json::from_value(self.payload_json["fields"].clone()).unwrap_or_default();
        let message = self.payload_json["message"].as_str().unwrap_or_default();
        let footer = format!("rawops · {} · job {}", self.raised_at, run.job_id());
        let alert = Alert { severity, title: &title, message, fields: &fields, footer: &footer };
        Ok(outside.slack.post(channel, &alert, run).await?)
    }
}
