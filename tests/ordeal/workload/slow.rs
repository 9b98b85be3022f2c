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

/// How long it waits for an answer, besides the time that it stays open and that each job takes.
const PATIENCE: Duration = Duration::from_secs(5);
const EACH: Duration = Duration::from_millis(100);
/// One transaction in so many makes many jobs, more than one claim takes: claims have gone on above them when it commits.
const CROWD_OF: u32 = 30;
const CROWD: usize = 60;

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
        let (programs, held) = draw(&mut random, number);
        open.spawn(enqueue(stage.clone(), programs, held));
        while let Some(ended) = open.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = open.join_next().await {
        ended??;
    }
    Ok(())
}

fn draw(random: &mut StdRng, number: u64) -> (Vec<Program>, Duration) {
    if random.random_ratio(1, CROWD_OF) {
        let crowd = (0..CROWD).map(|n| draw::brief(format!("slow-{number}-{n}"))).collect();
        return (crowd, Duration::from_millis(random.random_range(1200..2500)));
    }
    let mut program = draw::program(random, format!("slow-{number}"));
    if random.random_ratio(1, 2) {
        program.delay_ms = random.random_range(50..1500);
    }
    // Who waits for another's key waits for its transaction: this producer is about places alone.
    (program.unique, program.manner) = (None, Manner::Yields);
    (vec![program], Duration::from_millis(random.random_range(20..2500)))
}

async fn enqueue(stage: Arc<Stage>, programs: Vec<Program>, held: Duration) -> anyhow::Result<()> {
    stage.ledger.intents.add_synced(&Intent {
        at_us: clock::now_us(),
        programs: programs.clone(),
        keyed: true,
        copied: false,
        callback: None,
    })?;
    let jobs: Vec<NewJob> = programs.iter().map(|program| program.job().idempotency_key("slow", &program.key)).collect();
    let (made, asked_again) = until_accepted(held + PATIENCE + EACH * jobs.len() as u32, || ask(&stage, &jobs, held)).await;
    let created = made.iter().all(|(_, created)| *created);
    let ids = made.iter().map(|(id, _)| Some(*id)).collect();
    stage.ledger.acks.add_synced(&Ack::now(programs[0].key.clone(), ids, created, asked_again))?;
    for (program, (id, _)) in programs.iter().zip(made) {
        stage.made(program, id);
    }
    Ok(())
}

async fn ask(stage: &Stage, jobs: &[NewJob], held: Duration) -> Result<Vec<(i64, bool)>, engine::StoreError> {
    let mut tx = stage.producers.begin().await?;
    let mut made = Vec::new();
    for job in jobs {
        let job = engine::enqueue_in(&mut tx, job).await?;
        made.push((job.id.0, job.created));
    }
    tokio::time::sleep(held).await;
    tx.commit().await?;
    Ok(made)
}
