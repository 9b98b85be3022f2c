//! Send the file of a batch to the packer's drop, and see that he has read it.
//!
//! batch -> the drop has the file -> batch and orders say so -> the packer's receipt -> batch and orders say so, in the commit
//! of this job's completion
//!
//! Started by  a row of raw_ops.export_outbox that is pending
//! Unique by   row, while a job for it lives
//! Retried     whatever happened: the file has the same name and the same hash, and the drop knows both
//! Rejected    when the drop has another file of this name, the packer refuses it, or it would have another hash by now
//!
//! A dead letter's trigger `mark_export_failed` says so on the row, and a person decides: `raw_ops.resolve_export`.

use std::time::Duration;

use engine::{Failure, Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::manifest::{Document, File};
use crate::clients::{
    Outside,
    packer::{self, Packer, Receipt},
};

/// Sends the file of this batch.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct SendFile {
    /// The row, in `raw_ops.export_outbox`.
    pub export_id: Uuid,
}

/// A batch as it stands when an attempt begins; the words of `step` are those of `raw_ops.begin_export`.
#[derive(Debug, sqlx::FromRow)]
struct Begun {
    step: String,
    batch_id: Option<String>,
    version: Option<String>,
    file_sha256: Option<String>,
    document: Option<String>,
}

impl Job for SendFile {
    const KIND: &'static str = "export.send_file";
    const QUEUE: &'static str = "export";
    const TIMEOUT: Duration = Duration::from_mins(2);
    const CALLS: Option<&'static str> = Some(packer::DROP);

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let packer = &run.shared::<Outside>()?.packer;
        let mut tx = run.begin().await?;
        let begun: Begun = sqlx::query_as("select * from raw_ops.begin_export($1)").bind(self.export_id).fetch_one(&mut *tx).await?;
        if !matches!(begun.step.as_str(), "send" | "confirm") {
            run.called_nothing();
            return run.complete_in(tx, json!({ "status": begun.step })).await;
        }
        // Refused before the commit: the row stays as it was, and the dead letter marks it.
        let file = begun.file()?;
        tx.commit().await?;
        if begun.step == "send" {
            self.send(packer, &file, run).await?;
        }
        self.confirm(packer, &file, run).await
    }
}

impl Begun {
    fn file(&self) -> JobResult<File> {
        let (Some(batch_id), Some(version), Some(sha256), Some(document)) =
            (&self.batch_id, &self.version, &self.file_sha256, &self.document)
        else {
            return Err(Failure::validation("the batch has no version or hash, so it was not made by this program"));
        };
        let document: Document = serde_json::from_str(document)?;
        let file = File::write(batch_id, version, &document).and_then(|file| file.with_hash(sha256));
        file.map_err(|error| Failure::validation(error.to_string()))
    }
}

impl SendFile {
    async fn send(&self, packer: &Packer, file: &File, run: &Run) -> JobResult<()> {
        packer.put(file, run).await?;
        let mut tx = run.begin().await?;
        sqlx::query("select raw_ops.settle_export($1, 'sent')").bind(self.export_id).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn confirm(&self, packer: &Packer, file: &File, run: &Run) -> JobResult {
        match packer.receipt(file, run).await? {
            Receipt::NotYet => Err(Failure::not_ready(format!("the packer has not read {} yet", file.name))),
            Receipt::Refused(why) => Err(Failure::business_rule(format!("the packer refuses {}: {why}", file.name))),
            Receipt::Read => {
                let mut tx = run.begin().await?;
                let status: String =
                    sqlx::query_scalar("select raw_ops.settle_export($1, 'confirmed')").bind(self.export_id).fetch_one(&mut *tx).await?;
                run.complete_in(tx, json!({ "status": status, "file": file.name, "sha256": file.sha256 })).await
            }
        }
    }
}
