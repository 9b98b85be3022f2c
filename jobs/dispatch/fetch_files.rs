//! Fetch the files that the packer has laid out for us.
//!
//! drop: what is there -> files whose hash is not known -> the bytes of each -> inbox, as if its adapter had posted it
//!
//! Started by  schedules, every fifteen minutes, as `fetch-dispatches`
//! Unique by   schedule; a file by its hash, whatever it is called
//! Retried     from where it got: each file is one commit
//!
//! Files that cannot be had keep no other from being fetched, however many they are. Without a drop it does nothing.

use std::time::Duration;

use engine::{Category, Job, JobResult, Outcome, Run, Tx};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::clients::{
    Outside,
    packer::{self, Listed},
};

/// Files that one run gets: what is left waits for the next.
const FILES: usize = 50;

/// Fetches once.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
pub struct FetchFiles {}

impl Job for FetchFiles {
    const KIND: &'static str = "dispatch.fetch_files";
    const QUEUE: &'static str = "dispatch";
    const TIMEOUT: Duration = Duration::from_mins(5);
    const CALLS: Option<&'static str> = Some(packer::DROP);

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let packer = &run.shared::<Outside>()?.packer;
        if !packer.is_set() {
            run.called_nothing();
            return Ok(Outcome::Done(json!({ "skipped": "PACKER_DROP_URL is not set" })));
        }
        let listed = packer.dispatches(run).await?;
        let (mut had, mut fetched, mut wrong) = (0, 0, None);
        for file in unknown(run, &listed).await? {
            // Files that cannot be had do not count, or so many of them would keep every other from being fetched.
            if had == FILES {
                break;
            }
            match packer.dispatch(file, run).await {
                Ok(bytes) => {
                    had += 1;
                    fetched += usize::from(store(run, file, &bytes).await?);
                }
                // The next one would meet with the same.
                Err(error) if is_of_drop(&error.category) => return Err(error.into()),
                Err(error) => _ = wrong.get_or_insert(error),
            }
        }
        match wrong {
            Some(error) => Err(error.into()),
            None => Ok(Outcome::Done(json!({ "listed": listed.len(), "fetched": fetched }))),
        }
    }
}

/// Whether the drop is at fault, and not one file.
const fn is_of_drop(category: &Category) -> bool {
    matches!(category, Category::Network | Category::Timeout | Category::RateLimited | Category::Auth)
}

/// Those that were not received yet, in their order.
async fn unknown<'a>(run: &Run, listed: &'a [Listed]) -> JobResult<Vec<&'a Listed>> {
    let hashes: Vec<&str> = listed.iter().map(|file| file.sha256.as_str()).collect();
    let mut tx = run.begin().await?;
    let unknown: Vec<String> = sqlx::query_scalar("select raw_ops.unknown_dispatch_files($1)").bind(hashes).fetch_all(&mut *tx).await?;
    tx.commit().await?;
    Ok(listed.iter().filter(|file| unknown.contains(&file.sha256)).collect())
}

/// Lays a file into the inbox; whether it is new there.
async fn store(run: &Run, file: &Listed, bytes: &[u8]) -> JobResult<bool> {
    let mut tx: Tx = run.begin().await?;
    let trace = run.trace_parent().map(|trace| trace.text());
    let headers = json!({ "source": "drop", "file_name": file.name, "traceparent": trace });
    let outcome: String = sqlx::query_scalar("select raw_ops.store_dispatch_file($1, $2, $3)")
        .bind(headers.to_string())
        .bind(bytes)
        .bind(&Sha256::digest(bytes)[..])
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(outcome == "enqueued")
}
