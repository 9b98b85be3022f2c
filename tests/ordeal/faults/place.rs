//! A process comes to harm exactly between two statements: it is killed, stopped past its lease, held up, or loses its
//! connection there.

use std::time::Duration;

use engine::failpoint::STATEMENTS;
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use rustix::process::Signal;

use super::{NOTHING, take};
use crate::{
    chance::weighted,
    process::{
        Arm, Doing, Role, Start,
        child::LEASE,
        place::{self, Target},
    },
    stage::Stage,
    wait,
};

/// How long a process may take to come to its place.
const LONGEST: Duration = Duration::from_secs(6);
/// What every worker does all the time: the harm comes later than at the first time.
const OFTEN: [&str; 6] = ["claim/take", "attempt/complete", "worker/renew", "worker/declare_dead", "scheduled/promote", "claim/assert"];

pub async fn strike(stage: &Stage, targets: &[Target], random: &mut StdRng) -> anyhow::Result<String> {
    let arm = draw(targets, random);
    let of_scheduler = arm.statement.starts_with("leader/") || arm.statement.starts_with("schedule/");
    let wanted = |role| match role {
        Role::Worker(_) => !of_scheduler,
        Role::Scheduler(_) => of_scheduler,
        Role::Web(..) => false,
    };
    let wait = LEASE.mul_f64(random.random_range(0.5..4.5));
    let Some(slot) = take(stage, random, wanted) else { return Ok(NOTHING.into()) };
    let what = format!("{} {}", arm.doing.word(), place::name(&arm.statement, arm.after));
    let reached = start_armed(stage, slot, &arm).await?;
    match arm.doing {
        Doing::Stop if reached => {
            tokio::time::sleep(wait).await;
            stage.fleet.signal(slot, Signal::CONT, "CONT");
        }
        // It would stop later, when nobody lets it go on.
        Doing::Stop => {
            stage.fleet.signal(slot, Signal::KILL, "KILL");
        }
        _ => (),
    }
    stage.fleet.release(slot);
    Ok(if reached { what } else { format!("{what}, not seen") })
}

/// Puts an armed process into a slot, whose process ends here; returns whether it was seen to come to harm.
pub async fn start_armed(stage: &Stage, slot: usize, arm: &Arm) -> anyhow::Result<bool> {
    stage.fleet.kill(slot).await;
    stage.fleet.replace(slot, &Start { arm: Some(arm.clone()), ..Start::default() })?;
    Ok(until_harmed(stage, slot, arm.doing).await)
}

fn draw(targets: &[Target], random: &mut StdRng) -> Arm {
    let held = Doing::Wait(random.random_range(100..3000));
    if let Some(target) = targets.choose(random) {
        let doing = if matches!(target.doing, Doing::Wait(_)) { held } else { target.doing };
        return Arm { statement: target.statement.into(), after: target.after, time: time(target.statement, random), doing };
    }
    // What only operators and producers call is reached in the supervisor, which no fault ends.
    let reachable =
        |name: &&&str| !name.starts_with("cancel_request/") && !name.starts_with("dead_letter/") && **name != "job/enqueue_many";
    let names: Vec<&&str> = STATEMENTS.iter().filter(reachable).collect();
    let statement = names.choose(random).map(ToString::to_string).unwrap_or_default();
    let time = time(&statement, random);
    let doing = weighted(random, &[(Doing::Kill, 5), (Doing::Stop, 3), (Doing::Fail, 2), (held, 2)]);
    Arm { statement, after: random.random_ratio(1, 2), time, doing }
}

/// The how-manieth time that a process comes to a place does it harm.
fn time(statement: &str, random: &mut StdRng) -> u32 {
    if OFTEN.contains(&statement) { random.random_range(1..25) } else { random.random_range(1..3) }
}

/// Waits until the process was killed or stopped at its place; the other harms leave it alive, and show in nothing.
async fn until_harmed(stage: &Stage, slot: usize, doing: Doing) -> bool {
    let limit = if matches!(doing, Doing::Kill | Doing::Stop) { LONGEST } else { LONGEST / 3 };
    wait::until(limit, || stage.fleet.has_ended(slot) || stage.fleet.is_stopped(slot)).await
}
