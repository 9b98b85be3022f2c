//! Record that an order asks for stock.
//!
//! allocation_queue row -> attempts counted, still pending -> event
//!
//! Started by  raw_ops.request_allocation, when an order becomes PAID
//! Unique by   order, while a job for it lives
//! Ended       without work when nothing is pending for the order any more
//!
//! Nothing is reserved: there are no batches to reserve from. So the request stays `pending`, where the operator
//! and the allocator see it; what this job adds is the truth that it was looked at, and when first.

use engine::{Failure, Job, JobResult, Outcome, Run, Tx};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// Looks at the pending allocation request of this order.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct AllocateOrder {
    /// The order, in `raw_ops.orders`.
    pub order_id: Uuid,
}

impl Job for AllocateOrder {
    const KIND: &'static str = "allocation.allocate_order";
    const QUEUE: &'static str = "allocation";

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut tx = run.begin().await?;
        let status = self.order_status(&mut tx).await?;
        if !self.count_attempt(&mut tx).await? {
            return Ok(Outcome::Cancel(format!("nothing is pending for the order, which is {status}")));
        }
        self.tell_once(&mut tx).await?;
        run.complete_in(tx, json!({ "state": "pending" })).await
    }
}

impl AllocateOrder {
    async fn order_status(&self, tx: &mut Tx) -> JobResult<String> {
        let status: Option<String> = sqlx::query_scalar("select status::text from raw_ops.orders where id = $1")
            .bind(self.order_id)
            .fetch_optional(&mut **tx)
            .await?;
        status.ok_or_else(|| Failure::validation(format!("there is no order {}", self.order_id)))
    }

    /// Counts this look at the order's request; false when none is pending.
    async fn count_attempt(&self, tx: &mut Tx) -> JobResult<bool> {
        let counted = sqlx::query(
            "update raw_ops.allocation_queue
             set attempts = coalesce(attempts, 0) + 1, started_at = coalesce(started_at, engine.now())
             where order_id = $1 and state = 'pending'",
        )
        .bind(self.order_id)
        .execute(&mut **tx)
        .await?;
        Ok(counted.rows_affected() > 0)
    }

    async fn tell_once(&self, tx: &mut Tx) -> JobResult<()> {
        sqlx::query("select raw_ops.log_order_once($1, 'allocation_requested', 'The order is paid and asks for stock')")
            .bind(self.order_id)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }
}
