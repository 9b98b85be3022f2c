//! Hand the orders whose stock is reserved to the packer.
//!
//! orders -> lines -> a batch with its file's name and hash, and what it makes of its orders, in one commit
//!
//! Started by  schedules, at six in London, as `order-export`
//! Unique by   schedule; of two at once the second finds what the first has left
//! Retried     from where it got: each batch is one commit
//!
//! An order with a field that may not be written stays out whole; people hear of it, and the next export looks again. However many
//! such orders there are, they keep no other out. Without a drop nothing is collected, because what is in a batch is bound to it.

use std::time::Duration;

use engine::{Failure, Job, JobResult, Outcome, Run, Tx};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::manifest::{File, Line, Sorted, VERSION};
use crate::clients::Outside;

/// Orders of one batch.
const ORDERS: usize = 1_000;
/// Looks of one run, each of which makes a batch at most: what is left waits for the next.
const LOOKS: usize = 20;

/// Collects once.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
pub struct CollectOrders {}

impl Job for CollectOrders {
    const KIND: &'static str = "export.collect_orders";
    const QUEUE: &'static str = "export";
    const TIMEOUT: Duration = Duration::from_mins(5);

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        if !run.shared::<Outside>()?.packer.is_set() {
            return Ok(Outcome::Done(json!({ "skipped": "PACKER_DROP_URL is not set" })));
        }
        let (mut orders, mut batches) = (0, Vec::new());
        // Orders that were looked at before come last and first among themselves: the next look reaches past them.
        let (mut held, mut known) = (0, 0);
        for _ in 0..LOOKS {
            let limit = ORDERS + known;
            let mut tx = run.begin().await?;
            let (batch_id, lines) = take(&mut tx, limit).await?;
            let sorted = Sorted::of(&lines);
            held = sorted.held.len();
            known = if hold(&mut tx, &sorted).await? == 0 { held } else { 0 };
            if !sorted.orders.is_empty() {
                keep(&mut tx, &batch_id, &sorted).await?;
                orders += sorted.orders.len();
                batches.push(batch_id);
            }
            if sorted.orders.len() + held < limit {
                return run.complete_in(tx, json!({ "orders": orders, "batches": batches, "held": held })).await;
            }
            tx.commit().await?;
        }
        Ok(Outcome::Done(json!({ "orders": orders, "batches": batches, "held": held, "more": true })))
    }
}

/// The name of the next batch, and the lines of so many orders that wait.
async fn take(tx: &mut Tx, orders: usize) -> JobResult<(String, Vec<Line>)> {
    let batch_id = sqlx::query_scalar("select raw_ops.next_export_batch()").fetch_one(&mut **tx).await?;
    let lines = sqlx::query_as("select * from raw_ops.lines_to_export($1)").bind(orders as i32).fetch_all(&mut **tx).await?;
    Ok((batch_id, lines))
}

/// Has a person look at the orders that cannot be written; how many are news to people.
async fn hold(tx: &mut Tx, sorted: &Sorted) -> JobResult<i32> {
    if sorted.held.is_empty() {
        return Ok(0);
    }
    let (orders, reasons): (Vec<Uuid>, Vec<&str>) = sorted.held.iter().map(|(order, why)| (*order, why.as_str())).unzip();
    Ok(sqlx::query_scalar("select raw_ops.hold_from_export($1, $2)").bind(orders).bind(reasons).fetch_one(&mut **tx).await?)
}

/// Keeps the batch; a trigger makes the job that sends it.
async fn keep(tx: &mut Tx, batch_id: &str, sorted: &Sorted) -> JobResult<()> {
    let document = sorted.document();
    let file = File::write(batch_id, VERSION, &document).map_err(|error| Failure::bug(error.to_string()))?;
    let (orders, names): (Vec<Uuid>, Vec<&str>) = sorted.orders.iter().map(|(order, name)| (*order, name.as_str())).unzip();
    sqlx::query("select raw_ops.keep_export($1, $2, $3, $4, $5, $6, $7)")
        .bind(batch_id)
        .bind(orders)
        .bind(names)
        .bind(serde_json::to_value(&document)?)
        .bind(&file.name)
        .bind(&file.sha256)
        .bind(VERSION)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
