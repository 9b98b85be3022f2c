//! Code that changes while workflows are on their way.

use std::time::Instant;

use super::course::Act;
use crate::{JobResult, Run};

impl Run {
    /// Whether this workflow is to go the new way. A workflow that comes here for the first time does, and so does each
    /// of its later runs; one that went past here before the patch does not. In a loop each turn decides for itself.
    ///
    /// When no workflow of the old way is left, the call and the old way may both be taken out.
    ///
    /// ```
    /// use engine::{JobResult, Run, Tx};
    ///
    /// async fn ship(run: &mut Run, order: i64) -> JobResult<()> {
    ///     if run.patch("insured").await? {
    ///         run.step("insure", async |tx| insure(tx, order).await).await?;
    ///     }
    ///     run.step("ship", async |tx| hand_over(tx, order).await).await
    /// }
    /// # async fn insure(_: &mut Tx, _: i64) -> JobResult<()> { Ok(()) }
    /// # async fn hand_over(_: &mut Tx, _: i64) -> JobResult<()> { Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Run::step`].
    pub async fn patch(&mut self, name: &str) -> JobResult<bool> {
        Ok(self.version(name, 1).await? > 0)
    }

    /// The version of the code that this workflow is to follow here: `newest` when it comes here for the first time, what
    /// it was then in later runs, and 0 when it went past here before there was a version.
    ///
    /// # Errors
    /// As [`Run::step`].
    pub async fn version(&mut self, name: &str, newest: u32) -> JobResult<u32> {
        let Some(met) = self.meet_patch(name).await? else { return Ok(0) };
        let position = match met {
            super::course::Met::Known(kept) => return self.known(&kept),
            super::course::Met::New(position) => position,
        };
        let tx = self.begin().await?;
        self.keep(tx, Act::Patch, position, name, Instant::now(), &newest).await?;
        Ok(newest)
    }
}
