//! A process is killed with -9: mostly a worker, sometimes a scheduler or a web process.

use rand::{RngExt, rngs::StdRng};
use rustix::process::Signal;

use super::{NOTHING, take};
use crate::{process::Role, stage::Stage};

pub fn strike(stage: &Stage, random: &mut StdRng) -> anyhow::Result<String> {
    let workers_only = random.random_ratio(4, 5);
    let Some(place) = take(stage, random, |role| matches!(role, Role::Worker(_)) || !workers_only) else { return Ok(NOTHING.into()) };
    let pid = stage.fleet.pid(place).unwrap_or_default();
    stage.fleet.signal(place, Signal::KILL, "KILL");
    stage.fleet.release(place);
    // Started again by whoever tends the fleet.
    stage.fleet.tend()?;
    Ok(format!("process {pid}"))
}
