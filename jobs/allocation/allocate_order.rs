//! Give one order the stock that is free.
//!
//! order -> batches that expire first, reserved -> request done, or waiting for the rest
//!
//! Started by  a row of raw_ops.allocation_queue that is pending; raw_ops.wake_waiting_orders, when stock arrives;
//!             raw_ops.request_allocation, when the lines of a waiting order may have changed
//! Unique by   order, while a job for it lives
//! Limited to  one at a time, in the order of their enqueuing: side by side, a younger order could be the first to look
//! Retried     while the order has no lines yet
//!
//! An order that waits is no failure: its request stays pending, and whoever brings stock starts this job again.
//! Reservation and completion are one commit, so a waiting order's key is free as soon as others can see it wait.

use engine::{Failure, Job, JobResult, Limit, Run, Tx};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Allocates what this order needs and does not have yet.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct AllocateOrder {
    /// The order, in `raw_ops.orders`.
    pub order_id: Uuid,
}

/// What one look for stock came to; the words are those of `raw_ops.allocation_outcome`.
#[derive(Debug, Serialize, sqlx::FromRow)]
struct Look {
    outcome: String,
    allocation_group_id: Option<Uuid>,
    units_allocated: i32,
    units_missing: i32,
}

impl Job for AllocateOrder {
    const KIND: &'static str = "allocation.allocate_order";
    const QUEUE: &'static str = "allocation";
    const LIMITS: &'static [Limit] = &[Limit::of_kind(Self::KIND).at_once(1)];

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        let look = self.allocate(&mut tx).await?;
        if look.outcome == "no_lines" {
            return Err(Failure::not_ready(format!("order {} has no lines yet", self.order_id)));
        }
        run.complete_in(tx, serde_json::to_value(look)?).await
    }
}

impl AllocateOrder {
    async fn allocate(&self, tx: &mut Tx) -> JobResult<Look> {
        let look = sqlx::query_as(
            "select outcome, allocation_group_id, units_allocated, units_missing from raw_ops.allocate_order_to_batches($1)",
        )
        .bind(self.order_id)
        .fetch_one(&mut **tx)
        .await?;
        Ok(look)
    }
}
