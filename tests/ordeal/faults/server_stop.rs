//! The server is stopped at once, as after which it recovers, or fast; and started again.

use rand::{RngExt, rngs::StdRng};
use rustix::process::Signal;

use crate::stage::Stage;

pub async fn strike(stage: &Stage, random: &mut StdRng) -> anyhow::Result<String> {
    let (signal, word) = if random.random_ratio(2, 3) { (Signal::QUIT, "immediate") } else { (Signal::INT, "fast") };
    let took = stage.server.stop(signal).await?;
    Ok(format!("{word}, back after {} ms", took.as_millis()))
}
