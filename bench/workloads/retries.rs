//! Jobs of which every third attempt fails and is tried again at once.

use engine::NewJob;

use super::{drain, enqueue};
use crate::{
    figures::{Figures, RAWOPS},
    kinds::{AGAIN, Third},
    stage::Stage,
};

/// Jobs of a round, as a share of a drain's.
const SHARE: usize = 2;

pub const NAME: &str = "drain, every third attempt fails (attempts/s)";

/// One process; counts attempts, of which there are three for two jobs.
pub async fn measure(stage: &Stage, figures: &mut Figures) -> anyhow::Result<()> {
    let jobs = stage.options.jobs / SHARE;
    stage.empty().await?;
    sqlx::query(
        "insert into engine.retry_config (error_category, max_attempts, backoff_seconds) values ($1, 5, '{0}') on conflict do nothing",
    )
    .bind(AGAIN)
    .execute(&stage.pool)
    .await?;
    enqueue::fill(stage, jobs, |n| Ok(NewJob::of(&Third { n })?)).await?;
    figures.note(NAME, RAWOPS, 1.5 * drain::drain(stage, jobs, 1, 200).await?.rate);
    Ok(())
}
