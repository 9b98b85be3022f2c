//! Workflows of ten steps, each step kept in a transaction of its own.

use engine::NewJob;

use super::{drain, enqueue};
use crate::{
    figures::{Figures, RAWOPS},
    kinds::{STEPS, Steps},
    stage::Stage,
};

/// Workflows of a round, as a share of a drain's jobs: 10,000 of 200,000.
const SHARE: usize = 20;

pub const NAME: &str = "workflow steps (steps/s)";

/// One process, 32 workflows at once.
pub async fn measure(stage: &Stage, figures: &mut Figures) -> anyhow::Result<()> {
    let workflows = stage.options.jobs / SHARE;
    stage.empty().await?;
    enqueue::fill(stage, workflows, |n| Ok(NewJob::of(&Steps { n })?)).await?;
    let drained = drain::drain(stage, workflows, 1, 32).await?;
    figures.note(NAME, RAWOPS, drained.rate * f64::from(STEPS));
    Ok(())
}
