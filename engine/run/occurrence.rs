//! What an attempt can ask of its schedule.

use super::Run;
use crate::{
    JobResult,
    store::occurrence::{self, Occurrence},
};

impl Run {
    /// For which time of which schedule this job was made: however late it runs, and however often, that time stays. `None` of a job
    /// that no schedule made, of one that runs in the place of a dead one, and when the schedule's history is no longer kept.
    ///
    /// ```
    /// use engine::{Job, JobResult, Outcome, Run};
    ///
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct CloseDay {}
    /// impl Job for CloseDay {
    ///     const KIND: &'static str = "books.close_day";
    ///
    ///     async fn run(&self, run: &mut Run) -> JobResult {
    ///         let due = run.occurrence().await?.map_or_else(chrono::Utc::now, |occurrence| occurrence.occurrence);
    ///         Ok(Outcome::Done(format!("closed {}", due.date_naive()).into()))
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// Of category `bug` in an isolated job; otherwise the database's.
    pub async fn occurrence(&self) -> JobResult<Option<Occurrence>> {
        self.require_database()?;
        Ok(occurrence::of_job(&self.pool, self.job_id).await?)
    }
}
