//! An operator who runs workflows again from one of their steps: those that died, and, as the engine lets him, those that were cancelled or
//! completed.

use std::{sync::Arc, time::Duration};

use engine::{Client, JobId, StoreError, store::workflow};
use rand::RngExt;
use tokio_util::sync::CancellationToken;

use super::{draw, letters::await_standby};
use crate::{
    chance::{Purpose, stream},
    clock,
    ledger::{Ack, Answer, Deed, Intent},
    program::Program,
    stage::Stage,
    wait::{until_accepted, until_answered},
};

/// How long he waits for the answer to a new workflow.
const PATIENCE: Duration = Duration::from_secs(5);
/// One in so many times that he looks he makes a new one.
const NEW_OF: u32 = 3;
/// How many times a workflow runs again at most, one after the other.
const AGAIN: u32 = 3;

/// One job of a workflow.
struct Life {
    job: i64,
    program: Program,
    /// How many times it may run again.
    left: u32,
}

/// Makes workflows and runs them again until he is told to stop.
///
/// # Errors
/// When the ledger cannot be written, or the database refuses what it must take.
pub async fn run(stage: Arc<Stage>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut random = stream(stage.seed, Purpose::Restarts, 0);
    let mut lives: Vec<Life> = Vec::new();
    for number in 0.. {
        let wait = Duration::from_millis(random.random_range(150..600));
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            break;
        }
        if number % NEW_OF == 0 {
            let program = draw::stumbling(&mut random, format!("restart-{number}"));
            let job = enqueue(&stage, &program).await?;
            lives.push(Life { job, program, left: AGAIN });
        }
        if lives.is_empty() {
            continue;
        }
        let life = lives.swap_remove(random.random_range(0..lives.len()));
        let Some(steps) = steps_of_ended(&stage, life.job).await? else {
            lives.push(life);
            continue;
        };
        let from = random.random_range(1..=steps + 1);
        let made = restart(&stage, life.job, from).await?;
        let left = life.left - 1;
        if let Some(job) = made {
            stage.made(&life.program, job);
            lives.extend((left > 0).then(|| Life { job, program: life.program.clone(), left }));
        }
        // Some run again more than once, perhaps while the one before still does.
        if left > 0 && random.random_ratio(1, 4) {
            lives.push(Life { left, ..life });
        }
    }
    Ok(())
}

async fn enqueue(stage: &Stage, program: &Program) -> anyhow::Result<i64> {
    let (programs, at_us) = (vec![program.clone()], clock::now_us());
    stage.ledger.intents.add_synced(&Intent { at_us, programs, keyed: true, copied: false, callback: None })?;
    let client = Client::new(stage.producers.clone());
    let job = program.job().idempotency_key("restarts", &program.key);
    let (made, asked_again) = until_accepted(PATIENCE, || client.enqueue(&job)).await;
    stage.ledger.acks.add_synced(&Ack::now(program.key.clone(), vec![Some(made.id.0)], made.created, asked_again))?;
    stage.made(program, made.id.0);
    Ok(made.id.0)
}

/// How many acts are kept of a workflow that has ended, which the standby has; none while it goes on, or where it has done nothing yet.
async fn steps_of_ended(stage: &Stage, job: i64) -> anyhow::Result<Option<i32>> {
    let standing = match until_answered(|| workflow::show(&stage.pool, JobId(job))).await {
        Ok(shown) => shown.standing,
        Err(StoreError::NoSuchWorkflow(_)) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    // To ask another server proves nothing of what the one before it said.
    if await_standby(stage).await.is_err() {
        return Ok(None);
    }
    Ok(matches!(standing.state.as_str(), "completed" | "cancelled" | "dead").then_some(standing.steps))
}

/// Runs it again, and returns the new job where one was told of. Where the answer is lost nobody knows whether it was done; it is not asked
/// for again, which would be another one. Who was refused asks once more: what kept him may have gone with the server that said so.
async fn restart(stage: &Stage, job: i64, from: i32) -> anyhow::Result<Option<i64>> {
    let act = stage.ledger.means(Deed::Restart(job, from))?;
    let ask = || workflow::restart(&stage.pool, JobId(job), from, "robot");
    let mut told = ask().await;
    if told.as_ref().is_err_and(|error| !matches!(error, StoreError::Database(_))) {
        until_answered(|| await_standby(stage)).await?;
        told = ask().await;
    }
    let (answer, made) = match told {
        Ok(again) => (Answer::Made(again.job_id.0), Some(again.job_id.0)),
        Err(StoreError::Database(_)) => return Ok(None),
        Err(refused) => (Answer::Words(refused.to_string()), None),
    };
    stage.ledger.was_told(act, answer)?;
    Ok(made)
}
