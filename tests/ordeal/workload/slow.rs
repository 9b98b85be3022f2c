//! A producer whose transactions stay open for a while after they enqueued: what they made becomes visible long after its
//! place in the order of things, and perhaps after its time.

use std::{sync::Arc, time::Duration};

use engine::NewJob;
use rand::{RngExt, rngs::StdRng};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::draw;
use crate::{
    chance::{Purpose, stream},
    clock,
    ledger::{Ack, Intent},
    program::{Manner, Program},
    stage::Stage,
    wait::until_accepted,
};

/// How long it waits for an answer, besides the time that it stays open.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes them until it is told to stop, several open at one moment.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn run(stage: Arc<Stage>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut random = stream(stage.seed, Purpose::Slow, 0);
    let mut open: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let mut number = 0;
    loop {
        let pause = Duration::from_millis(random.random_range(50..400));
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            break;
        }
        number += 1;
        let (program, held) = draw(&mut random, number);
        open.spawn(enqueue(stage.clone(), program, held));
        while let Some(ended) = open.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = open.join_next().await {
        ended??;
    }
    Ok(())
}

fn draw(random: &mut StdRng, number: u64) -> (Program, Duration) {
    let mut program = draw::program(random, format!("slow-{number}"));
    if random.random_ratio(1, 2) {
        program.delay_ms = random.random_range(50..1500);
    }
    // Who waits for another's key waits for its transaction: this producer is about places alone.
    (program.unique, program.manner) = (None, Manner::Yields);
    (program, Duration::from_millis(random.random_range(20..2500)))
}

async fn enqueue(stage: Arc<Stage>, program: Program, held: Duration) -> anyhow::Result<()> {
    stage.ledger.intents.add_synced(&Intent {
        at_us: clock::now_us(),
        programs: vec![program.clone()],
        keyed: true,
        copied: false,
        callback: None,
    })?;
    let job = program.job().idempotency_key("slow", &program.key);
    let ((id, created), asked_again) = until_accepted(held + PATIENCE, || ask(&stage, &job, held)).await;
    let ack = Ack { at_us: clock::now_us(), key: program.key.clone(), jobs: vec![Some(id)], created, asked_again };
    stage.ledger.acks.add_synced(&ack)?;
    stage.made(&program, id);
    Ok(())
}

async fn ask(stage: &Stage, job: &NewJob, held: Duration) -> Result<(i64, bool), engine::StoreError> {
    let mut tx = stage.producers.begin().await?;
    let made = engine::enqueue_in(&mut tx, job).await?;
    tokio::time::sleep(held).await;
    tx.commit().await?;
    Ok((made.id.0, made.created))
}
