//! The primary is killed under load and its synchronous standby takes its place.

use super::NOTHING;
use crate::stage::Stage;

pub async fn strike(stage: &Stage) -> anyhow::Result<String> {
    let down = stage.server.promote().await?;
    Ok(down.map_or_else(|| NOTHING.into(), |down| format!("commits again after {} ms", down.as_millis())))
}
