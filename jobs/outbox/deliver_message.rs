//! Send one mail of the outbox, once.
//!
//! turn -> row says `sending` -> request -> row says what came of it, in the commit of this job's completion
//!
//! Started by  a row of raw_ops.outbox that is pending
//! Unique by   row, while a job for it lives
//! Retried     only where the vendor certainly did nothing; the row is pending again then
//! Rejected    when the payload is no mail, or nobody here delivers to its target
//!
//! When nobody can know whether the mail went out, the row says `unknown` and this job is done: the vendor's report says
//! what became of it (web/webhooks/customerio.rs), or a person. A worker that dies with the request under way leaves the
//! row `sending`, and the next attempt makes it `unknown`. A call that failed for good ends as a dead letter, whose
//! trigger `mark_message_failed` says so on the row.

use std::time::Duration;

use engine::{Category, Failure, Job, JobResult, Outcome, Run, Tx};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clients::{
    Outside,
    customerio::{self, Email, Sent},
    http::CallError,
};

/// The one target that mails go to.
const TARGET: &str = "customerio";
/// The pauses before what is known is written down again, while the database is away.
const AGAIN_AFTER: [Duration; 4] = [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

/// Sends the mail of this row.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct DeliverMessage {
    /// The row, in `raw_ops.outbox`.
    pub outbox_id: Uuid,
}

/// A row as it stands when an attempt begins; the words of `step` are those of `raw_ops.begin_message`.
#[derive(Debug, sqlx::FromRow)]
struct Begun {
    step: String,
    target: Option<String>,
    payload: Option<Value>,
}

impl Job for DeliverMessage {
    const KIND: &'static str = "outbox.deliver_message";
    const QUEUE: &'static str = "outbox";
    const TIMEOUT: Duration = Duration::from_mins(1);
    const CALLS: Option<&'static str> = Some(customerio::APP);

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let outside = run.shared::<Outside>()?;
        if let Err(wait) = outside.customerio.mail_turn().await {
            return Ok(Outcome::Snooze(wait));
        }
        let mut tx = run.begin().await?;
        let begun = self.begin(&mut tx).await?;
        if begun.step != "send" {
            run.called_nothing();
            return run.complete_in(tx, json!({ "state": begun.step })).await;
        }
        // Refused before the commit: the row stays as it was, and the dead letter marks it.
        let email = self.email(&begun)?;
        tx.commit().await?;
        match outside.customerio.send_email(&email, run).await {
            Ok(sent) => self.note_sent(run, &sent).await,
            Err(error) if error.did_nothing() => self.put_back(run, error).await,
            Err(error) => self.park(run, &error).await,
        }
    }
}

impl DeliverMessage {
    async fn begin(&self, tx: &mut Tx) -> JobResult<Begun> {
        let begun =
            sqlx::query_as("select step, target, payload from raw_ops.begin_message($1)").bind(self.outbox_id).fetch_one(&mut **tx).await?;
        Ok(begun)
    }

    fn email(&self, begun: &Begun) -> JobResult<Email> {
        match &begun.target {
            Some(target) if target == TARGET => (),
            target => {
                return Err(Failure::validation(format!("nobody here delivers to the target {:?}", target.as_deref().unwrap_or_default())));
            }
        }
        let email = Email::of(begun.payload.as_ref().unwrap_or(&Value::Null)).map_err(Failure::validation)?;
        Ok(email.marked(self.outbox_id))
    }

    /// The mail is out, and its id must not be lost: without it the row would have to wait for the report.
    async fn note_sent(&self, run: &Run, sent: &Sent) -> JobResult {
        let mut again = AGAIN_AFTER.into_iter();
        loop {
            let failure = match self.settle(run, "sent", Some(&sent.delivery_id), None).await {
                Ok(outcome) => return Ok(outcome),
                Err(failure) => failure,
            };
            let passes = matches!(failure.category, Category::Network | Category::Timeout);
            let Some(pause) = again.next().filter(|_| passes) else {
                // The attempt may be somebody else's by now, who can only say `unknown`. That the mail was sent is true
                // whoever writes it, so this one write is not fenced.
                sqlx::query("select raw_ops.settle_message($1, 'sent', $2, null)")
                    .bind(self.outbox_id)
                    .bind(&sent.delivery_id)
                    .execute(run.pool())
                    .await?;
                return Err(failure);
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Nothing was done: the row waits for the next attempt.
    async fn put_back(&self, run: &Run, error: CallError) -> JobResult {
        let mut tx = run.begin().await?;
        settle(&mut tx, self.outbox_id, "pending", None, Some(&error.to_string())).await?;
        tx.commit().await?;
        Err(error.into())
    }

    /// It may be out: nobody sends it again by himself.
    async fn park(&self, run: &Run, error: &CallError) -> JobResult {
        tracing::warn!(job.id = %run.job_id(), outbox.id = %self.outbox_id, %error, "it is not known whether the mail was sent");
        run.call_failed(error.clone().into());
        self.settle(run, "unknown", None, Some(&error.to_string())).await
    }

    async fn settle(&self, run: &Run, outcome: &str, delivery_id: Option<&str>, words: Option<&str>) -> JobResult {
        let mut tx = run.begin().await?;
        let state = settle(&mut tx, self.outbox_id, outcome, delivery_id, words).await?;
        run.complete_in(tx, json!({ "state": state, "delivery_id": delivery_id })).await
    }
}

async fn settle(tx: &mut Tx, outbox_id: Uuid, outcome: &str, delivery_id: Option<&str>, words: Option<&str>) -> JobResult<String> {
    let state = sqlx::query_scalar("select raw_ops.settle_message($1, $2, $3, $4)")
        .bind(outbox_id)
        .bind(outcome)
        .bind(delivery_id)
        .bind(words)
        .fetch_one(&mut **tx)
        .await?;
    Ok(state)
}
