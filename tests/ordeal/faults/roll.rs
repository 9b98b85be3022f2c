//! A worker is replaced by one of the other version, as a deployment does it, forward or backward. One of each version stays.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rustix::process::Signal;

use super::{NOTHING, take};
use crate::{process::Role, stage::Stage};

/// Far longer than a worker's grace and last words.
const LONGEST: Duration = Duration::from_secs(30);

pub async fn strike(stage: &Stage, random: &mut StdRng) -> anyhow::Result<String> {
    let Some(place) = take(stage, random, |role| matches!(role, Role::Worker(_))) else { return Ok(NOTHING.into()) };
    let Some(version) = stage.fleet.roll(place) else {
        stage.fleet.release(place);
        return Ok(NOTHING.into());
    };
    stage.fleet.signal(place, Signal::TERM, "TERM");
    let begun = Instant::now();
    while !stage.fleet.has_ended(place) && begun.elapsed() < LONGEST {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if !stage.fleet.has_ended(place) {
        stage.fleet.signal(place, Signal::KILL, "KILL");
    }
    stage.fleet.release(place);
    // Started again, as the other version, by whoever tends the fleet.
    stage.fleet.tend()?;
    Ok(format!("worker {place} to version {version}"))
}
