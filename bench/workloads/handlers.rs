//! Handlers that take a millisecond, 200 at once.

use engine::NewJob;

use super::{drain, enqueue};
use crate::{
    figures::{Figures, RAWOPS},
    kinds::Millisecond,
    stage::Stage,
};

/// Jobs of a round, as a share of a drain's.
const SHARE: usize = 2;

/// One process.
pub async fn measure(stage: &Stage, figures: &mut Figures) -> anyhow::Result<()> {
    let jobs = stage.options.jobs / SHARE;
    stage.empty().await?;
    enqueue::fill(stage, jobs, |n| Ok(NewJob::of(&Millisecond { n })?)).await?;
    figures.note("handlers of 1 ms, 200 at once (jobs/s)", RAWOPS, drain::drain(stage, jobs, 1, 200).await?.rate);
    Ok(())
}
