//! Tell people again of a request by law that is still open a week before its date.
//!
//! request -> critical alert
//!
//! Started by  jobs/customers/handle_privacy_request.rs, for its time
//! Unique by   request

use engine::{Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// Reminds of the request under this id.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct RemindOfPrivacyRequest {
    /// The row of `raw_ops.privacy_requests`.
    pub request_id: Uuid,
}

impl Job for RemindOfPrivacyRequest {
    const KIND: &'static str = "customers.remind_of_privacy_request";
    const QUEUE: &'static str = "customers";

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        let is_open: bool =
            sqlx::query_scalar("select raw_ops.remind_of_privacy_request($1)").bind(self.request_id).fetch_one(&mut *tx).await?;
        run.complete_in(tx, json!({ "open": is_open })).await
    }
}
