//! A worker is replaced by one of the other version, as a deployment does it, forward or backward. One of each version stays.

use std::time::Duration;

use rand::rngs::StdRng;

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
    stage.fleet.dismiss(place, LONGEST).await;
    stage.fleet.release(place);
    // Started again, as the other version, by whoever tends the fleet.
    stage.fleet.tend()?;
    Ok(format!("worker {place} to version {version}"))
}
