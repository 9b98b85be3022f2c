//! A worker is told to stop while jobs run: it drains, releases what does not end in time, and ends.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rustix::process::Signal;

use super::{NOTHING, take};
use crate::{process::Role, stage::Stage};

/// Far longer than a worker's grace and last words.
const LONGEST: Duration = Duration::from_secs(30);

pub async fn strike(stage: &Stage, random: &mut StdRng) -> String {
    let Some(place) = take(stage, random, |role| matches!(role, Role::Worker(_))) else { return NOTHING.into() };
    let pid = stage.fleet.pid(place).unwrap_or_default();
    stage.fleet.signal(place, Signal::TERM, "TERM");
    let begun = Instant::now();
    while !stage.fleet.has_ended(place) && begun.elapsed() < LONGEST {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ended = stage.fleet.has_ended(place);
    if !ended {
        stage.fleet.signal(place, Signal::KILL, "KILL");
    }
    stage.fleet.release(place);
    if ended { format!("process {pid}") } else { format!("process {pid} did not end and was killed") }
}
