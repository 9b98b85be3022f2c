//! A process gets a clock of its own, which is hours or days off, or too fast; the server's stays right.

use std::{path::PathBuf, time::Duration};

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

use super::{NOTHING, take};
use crate::{
    process::{Role, Start},
    stage::Stage,
};

const CLOCKS: [&str; 7] = ["-2h", "+2h", "-1d", "+1d", "+45d", "+0 x3", "-1h x0.5"];

pub async fn strike(stage: &Stage, random: &mut StdRng) -> anyhow::Result<String> {
    let Some(library) = library() else { return Ok(NOTHING.into()) };
    let clock = CLOCKS.choose(random).copied().unwrap_or_default();
    let time = Duration::from_millis(random.random_range(2000..8000));
    let Some(slot) = take(stage, random, |role| !matches!(role, Role::Web(..))) else { return Ok(NOTHING.into()) };
    stage.fleet.kill(slot).await;
    stage.fleet.replace(slot, &Start { clock: Some((library, clock.into())), ..Start::default() })?;
    tokio::time::sleep(time).await;
    stage.fleet.release(slot);
    Ok(format!("{clock} in {}", stage.fleet.pid(slot).unwrap_or_default()))
}

/// libfaketime, where this machine has it.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path().join("faketime"));
    let libraries = folders.chain([PathBuf::from("/usr/lib/faketime")]).map(|folder| folder.join("libfaketimeMT.so.1"));
    libraries.into_iter().find(|library| library.exists())
}
