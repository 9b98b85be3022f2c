//! The server's main process is killed with -9, and the server started again.

use crate::stage::Stage;

pub async fn strike(stage: &Stage) -> anyhow::Result<String> {
    let took = stage.server.crash().await?;
    Ok(format!("back after {} ms", took.as_millis()))
}
