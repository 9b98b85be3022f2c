//! The server's disk takes no more, until somebody makes room: a statement fails, or the server goes down and cannot recover.
//! Where the server has no disk of its own it is the kernel's limit of a file's size, which needs no right and no mount; the
//! server meets it where it would meet a full disk, when it makes a table or its log longer, and takes it no better.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

use crate::{disk, stage::Stage};

/// How much room is left, in KiB: with the least of it all that is written stops, with the most only the end of a segment of
/// the log.
const ROOMS: [u64; 4] = [64, 1024, 8 * 1024, 15 * 1024];

pub async fn strike(stage: &Stage, random: &mut StdRng) -> anyhow::Result<String> {
    let room = ROOMS.choose(random).copied().unwrap_or(ROOMS[0]);
    let time = Duration::from_millis(random.random_range(300..3000));
    let down = stage.server.fill_disk(room * 1024, time).await?;
    let word = if down { "went down and came back" } else { "stayed up" };
    let what = if disk::are_own() { format!("{room} KiB left on its disk") } else { format!("no file beyond {room} KiB") };
    Ok(format!("{what} for {} ms; the server {word}", time.as_millis()))
}
