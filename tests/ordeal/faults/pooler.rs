//! The pooler between processes and the server is killed, and started again.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng};

use super::NOTHING;
use crate::stage::Stage;

pub async fn strike(stage: &Stage, random: &mut StdRng) -> anyhow::Result<String> {
    let pause = Duration::from_millis(random.random_range(0..1500));
    let Some(pooler) = &stage.pooler else { return Ok(NOTHING.into()) };
    let away = pooler.restart(pause).await?;
    Ok(format!("away for {} ms", away.as_millis()))
}
