//! Workflows without end: one begins anew before its history grows long.

use super::course::{Act, Met};
use crate::{
    Failure, Job, JobResult, Run, arguments,
    store::{parked::Suspension, step},
};

impl Run {
    /// Begins this workflow anew with other arguments, of its own kind: nothing is kept of what it did, so that it may go on for ever.
    /// Return what this returns.
    ///
    /// ```
    /// use std::time::Duration;
    /// use engine::{Job, JobResult, Run};
    ///
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct WatchShop { shop: u32, seen: i64 }
    /// impl Job for WatchShop {
    ///     const KIND: &'static str = "demo.watch_shop";
    ///
    ///     async fn run(&self, run: &mut Run) -> JobResult {
    ///         let seen = run.step_outside("look", async |_| look(self.shop, self.seen).await).await?;
    ///         run.sleep("until tomorrow", Duration::from_hours(24)).await?;
    ///         run.continue_as(&Self { shop: self.shop, seen }).await
    ///     }
    /// }
    /// # async fn look(_: u32, seen: i64) -> JobResult<i64> { Ok(seen) }
    /// ```
    ///
    /// It stays the same job. Whoever waits for its end goes on waiting, and it keeps its unique key, its slot, its deadline
    /// and its place in a trace. Children that have not ended are still cancelled with it, though no more joined; what
    /// undoes its earlier steps is still done should it die; events that came and were not received yet still are.
    ///
    /// # Errors
    /// Always, as while it waits: hand it on, the attempt ends there. `bug` when the workflow went on from here before, and for arguments
    /// of another kind;
    /// `validation` when the arguments are no JSON or larger than 1 MiB.
    pub async fn continue_as<J: Job>(&mut self, next: &J) -> JobResult {
        if J::KIND != self.kind {
            let why = format!("a workflow of kind {} begins anew with arguments of its own, and not with those of {}", self.kind, J::KIND);
            return Err(Failure::bug(why));
        }
        let args = arguments::encode(next)?;
        let Met::New(position) = self.meet(Act::Continue, "continue").await? else {
            return Err(Failure::bug("a new beginning is the first thing in a history"));
        };
        let mut tx = self.begin().await?;
        step::continue_as(&mut tx, self.at(position, "continue"), &args).await?;
        // Whether or not it could be committed, the next attempt sees what is kept.
        let committed = tx.decide("run/commit").await;
        let gone = self.course.suspend(Suspension::Anew);
        committed.inspect_err(|failure| tracing::debug!(job.id = %self.job_id, %failure, "a new beginning may not be kept"))?;
        Err(gone)
    }
}
