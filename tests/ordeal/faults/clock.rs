//! A process gets a clock of its own, which is hours or days off, too fast, or steps while it works; the server's stays right.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

use super::{NOTHING, take};
use crate::{
    process::{Clock, Off, Role, Start},
    stage::Stage,
};

const CLOCKS: [&str; 7] = ["-2h", "+2h", "-1d", "+1d", "+45d", "+0 x3", "-1h x0.5"];
/// Where a clock steps to: by little and by much, forwards and backwards.
const STEPS: [&str; 8] = ["-2h", "+2h", "-1d", "+45d", "-3s", "+3s", "-20s", "+20s"];
/// How often it does so at most.
const MOST_STEPS: usize = 2;

pub async fn strike(stage: &Stage, random: &mut StdRng) -> anyhow::Result<String> {
    let Some(library) = library() else { return Ok(NOTHING.into()) };
    let Some(slot) = take(stage, random, |role| !matches!(role, Role::Web(..))) else { return Ok(NOTHING.into()) };
    let said = stage.folder.join(format!("clock-{slot}"));
    let steps: Vec<&str> = (0..random.random_range(0..=MOST_STEPS)).filter_map(|_| STEPS.choose(random).copied()).collect();
    let off = if steps.is_empty() {
        Off::By(CLOCKS.choose(random).copied().unwrap_or_default().into())
    } else {
        set(&said, "+0")?;
        Off::AsSaid(said.clone())
    };
    let note = if steps.is_empty() { format!("{off:?}") } else { format!("steps to {}", steps.join(", ")) };
    stage.fleet.kill(slot).await;
    stage.fleet.replace(slot, &Start { clock: Some(Clock { library, off }), ..Start::default() })?;
    for step in steps {
        tokio::time::sleep(Duration::from_millis(random.random_range(1200..2200))).await;
        set(&said, step)?;
    }
    tokio::time::sleep(Duration::from_millis(random.random_range(1500..4000))).await;
    stage.fleet.release(slot);
    Ok(format!("{note} in {}", stage.fleet.pid(slot).unwrap_or_default()))
}

/// Sets a clock whose process reads this file, which is never there in part.
fn set(file: &Path, off: &str) -> std::io::Result<()> {
    let next = file.with_extension("next");
    fs::write(&next, off)?;
    fs::rename(next, file)
}

/// libfaketime, where this machine has it.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path().join("faketime"));
    let libraries = folders.chain([PathBuf::from("/usr/lib/faketime")]).map(|folder| folder.join("libfaketimeMT.so.1"));
    libraries.into_iter().find(|library| library.exists())
}
