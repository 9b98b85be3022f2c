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
//!
//! Jobs may come in another order than their requests, so a look leaves to older requests whose job lives what they need, and this job
//! looks again until they have had their turn. A request whose job has died, or waits long, is owed nothing. An order whose row
//! somebody holds is left for later, so that one open transaction does not stop the stock of all.

use std::time::Duration;

use engine::{Failure, Job, JobResult, Limit, Outcome, Run, Tx};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long a look waits for the row of its order.
const ORDER_LOCK_TIMEOUT: &str = "set local lock_timeout = '200ms'";
/// When an order is looked at again whose row was held.
const HELD: Duration = Duration::from_secs(10);
/// When an order is looked at again that has left stock to older ones.
const TURN: Duration = Duration::from_secs(1);

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
        if !self.lock(&mut tx).await? {
            return Ok(Outcome::Snooze(HELD));
        }
        let look = self.allocate(&mut tx).await?;
        if look.outcome == "no_lines" {
            return Err(Failure::not_ready(format!("order {} has no lines yet", self.order_id)));
        }
        if look.units_missing > 0 && self.leaves_some(&mut tx).await? {
            tx.commit().await?;
            return Ok(Outcome::Snooze(TURN));
        }
        run.complete_in(tx, serde_json::to_value(look)?).await
    }
}

impl AllocateOrder {
    /// Locks the order; false when somebody holds it, and the transaction is of no use then.
    async fn lock(&self, tx: &mut Tx) -> JobResult<bool> {
        sqlx::query(ORDER_LOCK_TIMEOUT).execute(&mut **tx).await?;
        let lock = sqlx::query("select from raw_ops.orders o where o.id = $1 for no key update").bind(self.order_id);
        match lock.execute(&mut **tx).await {
            Err(error) if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03")) => return Ok(false),
            locked => locked?,
        };
        sqlx::query("set local lock_timeout to default").execute(&mut **tx).await?;
        Ok(true)
    }

    async fn allocate(&self, tx: &mut Tx) -> JobResult<Look> {
        let look = sqlx::query_as(
            "select outcome, allocation_group_id, units_allocated, units_missing from raw_ops.allocate_order_to_batches($1)",
        )
        .bind(self.order_id)
        .fetch_one(&mut **tx)
        .await?;
        Ok(look)
    }

    /// Whether there is stock that the order needs and has left to older ones.
    async fn leaves_some(&self, tx: &mut Tx) -> JobResult<bool> {
        Ok(sqlx::query_scalar("select raw_ops.leaves_stock_to_older($1)").bind(self.order_id).fetch_one(&mut **tx).await?)
    }
}
