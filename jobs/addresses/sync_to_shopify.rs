//! Tell Shopify of a customer's new address.
//!
//! row says `telling` -> default address there -> the new one in its place -> row says `synced`, in the commit of this job's completion
//!
//! Started by  a row of raw_ops.address_changes whose shopify_state is pending
//! Unique by   row, while a job for it lives; changes of one customer take turns, and the newest wins
//! Retried     after any failure that passes: what stands there is read first, so that nothing is written twice
//! Rejected    when Shopify says what is wrong with the address: its `userErrors` are failures of category `validation`
//!
//! When the job dies, the trigger `mark_address_failed` says so on the row.

use std::time::Duration;

use engine::{Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::change::{Change, Telling};
use crate::clients::{
    Outside,
    http::CallError,
    shopify::{self, Shopify},
};

/// Tells Shopify of the change of this row.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct SyncToShopify {
    /// The row, in `raw_ops.address_changes`.
    pub change_id: Uuid,
}

impl Job for SyncToShopify {
    const KIND: &'static str = "addresses.sync_to_shopify";
    const QUEUE: &'static str = "addresses";
    const TIMEOUT: Duration = Duration::from_mins(2);
    const CALLS: Option<&'static str> = Some(shopify::ADMIN);

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let shopify = &run.shared::<Outside>()?.shopify;
        let telling = Telling { change_id: self.change_id, target: "shopify" };
        let change = match telling.begin(run).await? {
            Ok(change) => change,
            Err(outcome) => return Ok(outcome),
        };
        match tell(shopify, &change, run).await {
            Ok(told) => telling.settle(run, json!(told)).await,
            Err(error) => telling.put_back(run, error).await,
        }
    }
}

/// Reads, compares and writes. Returns what was done.
async fn tell(shopify: &Shopify, change: &Change, run: &Run) -> Result<&'static str, CallError> {
    let customer_id = change.shopify_customer_id.as_deref().unwrap_or_default();
    let (there, wanted) = (shopify.default_address(customer_id, run).await?, change.wanted());
    match there {
        Some(there) if there.address.is_same_place(&wanted) => Ok("nothing"),
        Some(there) => shopify.update_address(customer_id, &there.id, &wanted, run).await.map(|()| "updated"),
        None => {
            let names = [change.first_name.as_deref(), change.last_name.as_deref()];
            shopify.create_address(customer_id, &wanted, names, run).await.map(|()| "created")
        }
    }
}
