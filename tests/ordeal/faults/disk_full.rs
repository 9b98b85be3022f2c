//! The server's disk takes no more: no file of its grows past a limit, until somebody makes room. It is the kernel's limit
//! of a file's size, which needs no right and no mount; the server meets it where it would meet a full disk, when it makes a
//! table or its log longer, and takes it no better: a statement fails, or the server goes down and cannot recover.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

use crate::stage::Stage;

/// Limits, in KiB: the least stops all that is written, the greatest only the end of a segment of the log.
const LIMITS: [u64; 4] = [64, 1024, 8 * 1024, 15 * 1024];

pub async fn strike(stage: &Stage, random: &mut StdRng) -> anyhow::Result<String> {
    let limit = LIMITS.choose(random).copied().unwrap_or(LIMITS[0]);
    let time = Duration::from_millis(random.random_range(300..3000));
    let down = stage.server.fill_disk(limit * 1024, time).await?;
    let word = if down { "went down and came back" } else { "stayed up" };
    Ok(format!("no file beyond {limit} KiB for {} ms; the server {word}", time.as_millis()))
}
