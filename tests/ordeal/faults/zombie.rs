//! A process is stopped for as long as its lease and longer, and then goes on as if nothing had been.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng};
use rustix::process::Signal;

use super::{NOTHING, take};
use crate::{
    process::{Role, child::LEASE},
    stage::Stage,
};

pub async fn strike(stage: &Stage, random: &mut StdRng) -> String {
    let workers_only = random.random_ratio(4, 5);
    let time = LEASE.mul_f64(random.random_range(0.4..3.2));
    let wanted = |role| matches!(role, Role::Worker(_)) || (!workers_only && matches!(role, Role::Scheduler(_)));
    let Some(place) = take(stage, random, wanted) else { return NOTHING.into() };
    let pid = stage.fleet.pid(place).unwrap_or_default();
    stage.fleet.signal(place, Signal::STOP, "STOP");
    tokio::time::sleep(time).await;
    stage.fleet.signal(place, Signal::CONT, "CONT");
    // It is one only while it is let live: it must have time to try what it may not.
    tokio::time::sleep(Duration::from_millis(200)).await;
    stage.fleet.release(place);
    format!("process {pid} for {} ms", time.as_millis())
}
