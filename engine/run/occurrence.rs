//! What an attempt can ask of its schedule.

use super::Run;
use crate::{
    JobResult,
    store::occurrence::{self, MadeFor},
};

impl Run {
    /// For which time of which schedule this job was made, however late it runs and however often; of a job that runs in the place of a
    /// dead one, or of a workflow that was restarted, that one's. `None` of a job that no schedule made, also if one came later and
    /// found that it holds the key, and when the schedule's history, or the letter in between, is no longer kept: a workflow that
    /// sleeps for long keeps it as a [`Run::value`].
    ///
    /// ```
    /// use chrono_tz::Europe::London;
    /// use engine::{Failure, Job, JobResult, Outcome, Run};
    ///
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct CloseDay {}
    /// impl Job for CloseDay {
    ///     const KIND: &'static str = "books.close_day";
    ///
    ///     async fn run(&self, run: &mut Run) -> JobResult {
    ///         let made_for = run.occurrence().await?.ok_or_else(|| Failure::validation("which day is it to close?"))?;
    ///         Ok(Outcome::Done(format!("closed {}", made_for.due.with_timezone(&London).date_naive()).into()))
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// Of category `bug` in an isolated job; otherwise the database's.
    pub async fn occurrence(&self) -> JobResult<Option<MadeFor>> {
        self.require_database()?;
        Ok(occurrence::made_for(&self.pool, self.job_id).await?)
    }
}
