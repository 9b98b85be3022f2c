//! A worker is told to stop while jobs run: it drains, releases what does not end in time, and ends.

use std::time::Duration;

use rand::rngs::StdRng;

use super::{NOTHING, take};
use crate::{process::Role, stage::Stage};

/// Far longer than a worker's grace and last words.
const LONGEST: Duration = Duration::from_secs(30);

pub async fn strike(stage: &Stage, random: &mut StdRng) -> String {
    let Some(place) = take(stage, random, |role| matches!(role, Role::Worker(_))) else { return NOTHING.into() };
    let pid = stage.fleet.pid(place).unwrap_or_default();
    let ended = stage.fleet.dismiss(place, LONGEST).await;
    stage.fleet.release(place);
    if ended { format!("process {pid}") } else { format!("process {pid} did not end and was killed") }
}
