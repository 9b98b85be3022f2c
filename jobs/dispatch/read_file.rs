//! Read one file of the packer.
//!
//! inbox row -> rows -> dispatch_import_queue, each with a job of its own; the file is noted as read
//!
//! Started by  web/webhooks/packer.rs and dispatch.fetch_files
//! Unique by   inbox row; the same bytes again are read once, whatever they are called
//! Rejected    when it is no such file: category `validation`
//!
//! A row that is wrong waits in the queue as failed, with its reason.

use engine::{Failure, Job, JobResult, Run, Tx};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::file::{self, Row};
use crate::export::manifest::sha256;

/// Reads the file that lies in `raw_ops.webhook_inbox` under this id.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct ReadFile {
    /// The row of the inbox.
    pub inbox_id: Uuid,
}

/// A file as it lies there.
#[derive(Debug, sqlx::FromRow)]
struct Received {
    body: Vec<u8>,
    name: Option<String>,
    source: String,
}

impl Job for ReadFile {
    const KIND: &'static str = "dispatch.read_file";
    const QUEUE: &'static str = "dispatch";

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        let received = self.received(&mut tx).await?;
        let rows = file::parse(&received.body).map_err(|refusal| Failure::validation(refusal.to_string()))?;
        let outcome = self.keep(&mut tx, &received, &rows).await?;
        let failed = rows.iter().filter(|row| row.fault.is_some()).count();
        run.complete_in(tx, json!({ "outcome": outcome, "rows": rows.len(), "failed": failed })).await
    }
}

impl ReadFile {
    async fn received(&self, tx: &mut Tx) -> JobResult<Received> {
        let found = sqlx::query_as(
            "select raw_body as body, raw_headers ->> 'file_name' as name, coalesce(raw_headers ->> 'source', 'http') as source
             from raw_ops.webhook_inbox where id = $1 and raw_body is not null for update",
        )
        .bind(self.inbox_id)
        .fetch_optional(&mut **tx)
        .await?;
        found.ok_or_else(|| Failure::validation(format!("file {} is not in the inbox", self.inbox_id)))
    }

    async fn keep(&self, tx: &mut Tx, received: &Received, rows: &[Row]) -> JobResult<String> {
        let sha256 = sha256(&received.body);
        let name = received.name.clone().unwrap_or_else(|| format!("dispatch_{}", &sha256[..12]));
        let outcome = sqlx::query_scalar("select raw_ops.keep_dispatch_file($1, $2, $3, $4, $5, $6, $7)")
            .bind(self.inbox_id)
            .bind(name)
            .bind(sha256)
            .bind(&received.source)
            .bind(rows.iter().map(|row| row.order_ref.as_str()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| json!(row.said)).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.fault.as_deref()).collect::<Vec<_>>())
            .fetch_one(&mut **tx)
            .await?;
        Ok(outcome)
    }
}
