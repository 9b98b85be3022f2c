//! Watches the engine during a run: what was once written into its ledger must be there, unchanged, at the end; and what became of a
//! breaker counts from where it was seen.

use std::{collections::HashMap, sync::Arc, time::Duration};

use sqlx::Executor;
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    facts::{Attempt, attempts},
    kinds::CALLED,
    ledger::Look,
    stage::Stage,
};

const PERIOD: Duration = Duration::from_secs(2);
/// How often the breaker is looked at.
const OFTEN: Duration = Duration::from_millis(100);
/// How many attempts one look reads at most: the latest.
const MOST: i64 = 3000;
/// How many changes are told of.
const TOLD: usize = 5;

/// What was seen.
#[derive(Default)]
pub struct Seen(HashMap<(i64, i32), Attempt>);

impl Seen {
    /// Looks until it is told to stop.
    pub async fn watch(stage: Arc<Stage>, stop: CancellationToken) -> Self {
        let mut seen = Self::default();
        while stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
            // A server that is away is looked at next time.
            for attempt in look(&stage).await.unwrap_or_default() {
                seen.0.entry((attempt.job_id, attempt.attempt)).or_insert(attempt);
            }
        }
        seen
    }

    /// How many attempts were seen, and what became of those that are not as they were.
    pub fn compare(&self, attempts: &HashMap<i64, Vec<Attempt>>) -> (usize, Vec<String>) {
        let now = |job: i64, number: i32| attempts.get(&job).and_then(|all| all.iter().find(|attempt| attempt.attempt == number));
        let changed = self.0.iter().filter(|((job, number), before)| now(*job, *number) != Some(before));
        let told = changed
            .take(TOLD)
            .map(|((job, number), before)| format!("attempt {number} of job {job} was {before:?} and is {:?}", now(*job, *number)));
        (self.0.len(), told.collect())
    }
}

/// What is there and not yet on the standby, as after a crash of the primary, may go with a promotion: it counts once it is on both.
async fn look(stage: &Stage) -> Result<Vec<Attempt>, sqlx::Error> {
    let mut tx = stage.pool.begin().await?;
    let attempts = sqlx::query_as(attempts!("finished_at desc limit $1")).bind(MOST).fetch_all(&mut *tx).await?;
    tx.execute("select engine.await_standby()").await?;
    tx.commit().await?;
    Ok(attempts)
}

/// Looks at the trail of the breaker that holds programs until it is told to stop, and takes note of what everybody can see by then.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn breaker(stage: Arc<Stage>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut seen = 0;
    while stop.run_until_cancelled(tokio::time::sleep(OFTEN)).await.is_some() {
        // A server that is away is looked at next time.
        let last = last_switch(&stage, seen).await.unwrap_or(seen);
        if last > seen {
            seen = last;
            stage.ledger.looks.add_synced(&Look { at_us: clock::now_us(), last })?;
        }
    }
    Ok(())
}

/// The last change that is there, and on the standby if nobody has seen it yet.
async fn last_switch(stage: &Stage, seen: i64) -> Result<i64, sqlx::Error> {
    let mut tx = stage.pool.begin().await?;
    let last: i64 =
        sqlx::query_scalar("select coalesce(max(id), 0) from ordeal.switch where system = $1").bind(CALLED).fetch_one(&mut *tx).await?;
    if last > seen {
        tx.execute("select engine.await_standby()").await?;
    }
    tx.commit().await?;
    Ok(last)
}
