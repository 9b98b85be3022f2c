//! Jobs in and out at once while millions are scheduled for later.

use std::time::Duration;

use super::{pinned::Flow, raw};
use crate::{
    figures::{Figures, RAWOPS},
    stage::Stage,
};

pub const NONE: &str = "jobs in and out, none scheduled (jobs/s)";
pub const MANY: &str = "jobs in and out beside 10 M scheduled (jobs/s)";

const SPAN: Duration = Duration::from_secs(20);
/// Rows in one insert.
const CHUNK: i64 = 500_000;

/// Without and with.
pub async fn measure(stage: &Stage, figures: &mut Figures) -> anyhow::Result<()> {
    stage.empty().await?;
    figures.note(NONE, RAWOPS, flow(stage).await?);
    stage.empty().await?;
    schedule(stage).await?;
    figures.note(MANY, RAWOPS, flow(stage).await?);
    stage.empty().await
}

async fn flow(stage: &Stage) -> anyhow::Result<f64> {
    let mut flow = Flow::begin(stage)?;
    flow.rate_over(Duration::from_secs(5)).await?;
    let rate = flow.rate_over(SPAN).await?;
    flow.end()?;
    Ok(rate)
}

/// Puts them in with plain SQL, spread over a year from tomorrow.
async fn schedule(stage: &Stage) -> anyhow::Result<()> {
    let (lane, mut left) = (raw::lane(stage).await?, stage.options.scheduled as i64);
    while left > 0 {
        sqlx::query(
            "with new as (select nextval('engine.position') as id from generate_series(1, $2)),
             j as (insert into engine.job (id, lane_id, args) select id, $1, '{\"n\": 1}' from new)
             insert into engine.scheduled (job_id, lane_id, attempt, run_at)
             select id, $1, 1, now() + interval '1 day' + random() * interval '1 year' from new",
        )
        .bind(lane)
        .bind(left.min(CHUNK))
        .execute(&stage.pool)
        .await?;
        left -= CHUNK;
    }
    // What was put in hours ago is swept and written out; here it is done before the clock starts.
    for settling in ["vacuum analyze engine.scheduled", "vacuum analyze engine.job", "checkpoint"] {
        sqlx::query(settling).execute(&stage.pool).await?;
    }
    Ok(())
}
