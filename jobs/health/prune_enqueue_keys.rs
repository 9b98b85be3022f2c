//! Forget the idempotency keys that no producer will use again.
//!
//! keys past the time that `rawops retention` sets -> gone, a batch a transaction
//!
//! Started by  schedules, every hour
//! Unique by   itself: one at a time
//! Ended       when no key is too old; a run that is stopped in between goes on where it was

use engine::{Job, JobResult, Outcome, Run, store::enqueue_key};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Keys of one transaction: some 20 ms of locks.
const BATCH: u64 = 5_000;

/// Deletes what no producer may try again.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
pub struct PruneEnqueueKeys {}

impl Job for PruneEnqueueKeys {
    const KIND: &'static str = "health.prune_enqueue_keys";
    const QUEUE: &'static str = "health";
    const PRIORITY: i16 = 8;

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let mut pruned = 0;
        loop {
            let batch = prune_batch(run).await?;
            pruned += batch;
            if batch < BATCH {
                return Ok(Outcome::Done(json!({ "pruned": pruned })));
            }
        }
    }
}

async fn prune_batch(run: &Run) -> JobResult<u64> {
    let mut tx = run.begin().await?;
    let pruned = enqueue_key::prune(&mut tx, BATCH as i64).await?;
    tx.commit().await?;
    Ok(pruned)
}
