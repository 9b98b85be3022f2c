//! Give back the stock that orders held and did not pay for in time.
//!
//! holds whose time is up -> free stock, an order a commit -> orders that wait for it look again
//!
//! Started by  schedules, every five minutes
//! Unique by   schedule

use engine::{Job, JobResult, Outcome, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// Orders of one run: what is left waits for the next.
const MOST_ORDERS: usize = 1_000;

/// Gives back once.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
pub struct ReleaseHolds {}

impl Job for ReleaseHolds {
    const KIND: &'static str = "allocation.release_holds";
    const QUEUE: &'static str = "allocation";
    const PRIORITY: i16 = 5;

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        for released in 0..MOST_ORDERS {
            let mut tx = run.begin().await?;
            let order: Option<Uuid> = sqlx::query_scalar("select raw_ops.release_expired_hold()").fetch_one(&mut *tx).await?;
            if order.is_none() {
                return run.complete_in(tx, json!({ "orders": released })).await;
            }
            tx.commit().await?;
        }
        Ok(Outcome::Done(json!({ "orders": MOST_ORDERS, "more": true })))
    }
}
