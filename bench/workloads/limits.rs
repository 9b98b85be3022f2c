//! What a limit costs: the same drain without one, under limits of keys, and under a limit of the kind.

use engine::{
    NewJob,
    store::{
        limit::{self, Change},
        pause::Scope,
    },
};

use super::{drain, enqueue};
use crate::{
    figures::{Figures, RAWOPS},
    kinds::NoOp,
    stage::Stage,
};

/// Keys that the jobs are spread over, and the cap of each.
const KEYS: usize = 1000;
const CAP: i32 = 10;

pub const PLAIN: &str = "drain without a limit (jobs/s)";
pub const KEYED: &str = "drain of 1,000 keys, 10 at once of each (jobs/s)";
pub const OF_KIND: &str = "drain of a kind with a limit (jobs/s)";

/// The three drains.
pub async fn measure(stage: &Stage, figures: &mut Figures) -> anyhow::Result<()> {
    let at_once = |cap| Change { cap: Some(Some(cap)), ..Change::default() };
    limit::set(&stage.pool, Scope::Key, "bench:*", at_once(CAP), "the benchmark").await?;
    figures.note(PLAIN, RAWOPS, rate(stage, false).await?);
    figures.note(KEYED, RAWOPS, rate(stage, true).await?);
    limit::set(&stage.pool, Scope::Kind, "bench.no_op", at_once(10_000), "the benchmark").await?;
    figures.note(OF_KIND, RAWOPS, rate(stage, false).await?);
    limit::unset(&stage.pool, Scope::Kind, "bench.no_op").await?;
    Ok(())
}

async fn rate(stage: &Stage, keyed: bool) -> anyhow::Result<f64> {
    let jobs = stage.options.jobs;
    stage.empty().await?;
    enqueue::fill(stage, jobs, |n| {
        let job = NewJob::of(&NoOp { n })?;
        Ok(if keyed { job.limit_key(format!("bench:{}", n % KEYS)) } else { job })
    })
    .await?;
    Ok(drain::drain(stage, jobs, 1, 200).await?.rate)
}
