//! Tell Customer.io of one event.
//!
//! row -> Track API -> row says `processed`, in the commit of this job's completion
//!
//! Started by  a row of raw_ops.lifecycle_events that is pending, at its time
//! Unique by   row, while a job for it lives
//! Retried     after any failure that passes: the event's id follows from its key, and Customer.io drops repetitions
//!
//! While the job waits for its next attempt the row keeps its state, and says what went wrong. When the job dies, the
//! trigger `mark_event_failed` says so on the row.

use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::{Job, JobResult, Outcome, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clients::{
    Outside,
    customerio::{self, Event, event_id},
    http::CallError,
};

/// Tells of the event of this row.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct TrackEvent {
    /// The row, in `raw_ops.lifecycle_events`.
    pub event_id: Uuid,
}

/// The row.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    status: String,
    event_name: String,
    idempotency_key: String,
    customer_email: String,
    event_data: Value,
    scheduled_for: DateTime<Utc>,
    early_ms: i64,
}

impl Job for TrackEvent {
    const KIND: &'static str = "lifecycle.track_event";
    const QUEUE: &'static str = "lifecycle";
    const TIMEOUT: Duration = Duration::from_mins(1);
    const CALLS: Option<&'static str> = Some(customerio::TRACK);

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let outside = run.shared::<Outside>()?;
        let row = match self.read(run).await? {
            Some(row) if ["pending", "processing", "failed"].contains(&row.status.as_str()) => row,
            row => return Ok(nothing_to_tell(run, row.as_ref().map(|row| row.status.as_str()))),
        };
        // Its time was put off after the job was made.
        if let Some(early) = u64::try_from(row.early_ms).ok().filter(|early| *early > 0) {
            return Ok(Outcome::Snooze(Duration::from_millis(early)));
        }
        let event = Event {
            key: &row.idempotency_key,
            name: &row.event_name,
            customer: &row.customer_email,
            at: row.scheduled_for,
            data: &row.event_data,
        };
        match outside.customerio.track(&event, run).await {
            Ok(()) => self.note_told(run, &event_id(&row.idempotency_key)).await,
            Err(error) => self.note_failure(run, error).await,
        }
    }
}

/// The event is gone, or was dealt with.
fn nothing_to_tell(run: &Run, status: Option<&str>) -> Outcome {
    run.called_nothing();
    Outcome::Done(json!({ "status": status.unwrap_or("gone") }))
}

impl TrackEvent {
    async fn read(&self, run: &Run) -> JobResult<Option<Row>> {
        let row = sqlx::query_as(
            "select status, event_name, idempotency_key, customer_email, event_data, scheduled_for,
                    ceil(extract(epoch from scheduled_for - engine.now()) * 1000)::bigint as early_ms
             from raw_ops.lifecycle_events where id = $1",
        )
        .bind(self.event_id)
        .fetch_optional(run.pool())
        .await?;
        Ok(row)
    }

    async fn note_told(&self, run: &Run, ulid: &str) -> JobResult {
        let mut tx = run.begin().await?;
        sqlx::query("select raw_ops.settle_event($1, $2, null)").bind(self.event_id).bind(ulid).execute(&mut *tx).await?;
        run.complete_in(tx, json!({ "status": "processed", "event_id": ulid })).await
    }

    async fn note_failure(&self, run: &Run, error: CallError) -> JobResult {
        let mut tx = run.begin().await?;
        sqlx::query("select raw_ops.settle_event($1, null, $2)").bind(self.event_id).bind(error.to_string()).execute(&mut *tx).await?;
        tx.commit().await?;
        Err(error.into())
    }
}
