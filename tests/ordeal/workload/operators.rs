//! Operators: robots that cancel, requeue, pause and resume while faults strike.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use engine::{
    JobId,
    store::{
        cancel_request, dead_letter,
        pause::{self, Scope, Window},
    },
};
use rand::{RngExt, rngs::StdRng};
use serde_json::value::{RawValue, to_raw_value};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::draw;
use crate::{
    chance::{Purpose, stream},
    clock,
    kinds::{Play, QUEUE},
    ledger::{Act, Deed},
    program::{LIMITS, RATE},
    stage::Stage,
    wait::until_answered,
};

/// Cancels programs that wait for it, and some that do not.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn cancel(stage: Arc<Stage>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut random = stream(stage.seed, Purpose::Robot, 0);
    while stop.run_until_cancelled(tokio::time::sleep(Duration::from_millis(120))).await.is_some() {
        for (key, id) in stage.take_cancellable(&mut random, false) {
            cancel_one(&stage, key, id).await?;
        }
    }
    Ok(())
}

/// Cancels all that still wait for it, when no producer makes more.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn cancel_rest(stage: &Stage) -> anyhow::Result<()> {
    let mut random = stream(stage.seed, Purpose::Robot, 2);
    for (key, id) in stage.take_cancellable(&mut random, true) {
        cancel_one(stage, key, id).await?;
    }
    Ok(())
}

async fn cancel_one(stage: &Stage, key: String, id: i64) -> anyhow::Result<()> {
    let act = stage.ledger.means(Deed::Cancel(id, key))?;
    let asking = until_answered(|| cancel_request::cancel(&stage.pool, JobId(id), "robot", None));
    let answer = asking.await.map_or_else(|refused| refused.to_string(), |answer| format!("{answer:?}"));
    Ok(stage.ledger.was_told(act, answer)?)
}

/// Runs dead programs again, with other arguments: one by one, or many `together`. Robots do it at once, on the same letters.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn requeue(stage: Arc<Stage>, together: bool, stop: CancellationToken) -> anyhow::Result<()> {
    let filter = dead_letter::Filter { kind: Some("ordeal.play".into()), ..dead_letter::Filter::default() };
    let most = if together { 20 } else { 3 };
    while stop.run_until_cancelled(tokio::time::sleep(Duration::from_millis(700))).await.is_some() {
        let mut asked = Vec::new();
        for letter in dead_letter::list(&stage.pool, &filter, most).await.unwrap_or_default() {
            let Ok(play) = serde_json::from_str::<Play>(letter.payload.0.get()) else { continue };
            let program = draw::again(&play.key);
            let args = to_raw_value(&serde_json::json!({ "key": program.key, "acts": program.acts }))?;
            asked.push((letter.id, args, stage.ledger.means(Deed::Requeue(letter.id, program))?));
        }
        let answers = if together { requeue_together(&stage, &asked).await } else { requeue_each(&stage, &asked).await };
        for ((.., act), answer) in asked.into_iter().zip(answers) {
            stage.ledger.was_told(act, answer)?;
        }
    }
    Ok(())
}

/// A letter, the arguments of the job that takes its place, and the act in the ledger.
type Asked = (Uuid, Box<RawValue>, Act);

async fn requeue_each(stage: &Stage, asked: &[Asked]) -> Vec<String> {
    let mut answers = Vec::new();
    for (letter, args, _) in asked {
        let asking = until_answered(|| dead_letter::requeue(&stage.pool, *letter, "robot", Some(args.clone())));
        answers.push(asking.await.map_or_else(|refused| refused.to_string(), |id| format!("job {id}")));
    }
    answers
}

async fn requeue_together(stage: &Stage, asked: &[Asked]) -> Vec<String> {
    let letters: Vec<Uuid> = asked.iter().map(|(letter, ..)| *letter).collect();
    let args: Vec<_> = asked.iter().map(|(_, args, _)| Some(args.clone())).collect();
    let came = match until_answered(|| dead_letter::requeue_many(&stage.pool, &letters, "robot", &args)).await {
        Ok(came) => came,
        Err(refused) => return vec![refused.to_string(); letters.len()],
    };
    let answer = |letter: &Uuid| {
        let answer = came.iter().find(|answer| answer.letter == *letter)?;
        Some(answer.job.as_ref().map_or_else(ToString::to_string, |id| format!("job {id}")))
    };
    letters.iter().map(|letter| answer(letter).unwrap_or_default()).collect()
}

/// Pauses the queue of programs for a moment, again and again, and lets it go on at the end.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn pause_queue(stage: Arc<Stage>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut random = stream(stage.seed, Purpose::Robot, 1);
    loop {
        let wait = Duration::from_millis(random.random_range(4000..9000));
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return Ok(());
        }
        set_paused(&stage, true).await?;
        moment(&mut random, &stop, Duration::ZERO).await;
        set_paused(&stage, false).await?;
    }
}

/// Holds the programs of one limit key after the other for a moment, and lets them go on.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn hold_keys(stage: Arc<Stage>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut random = stream(stage.seed, Purpose::Robot, 3);
    let keys: Vec<&str> = LIMITS.iter().map(|(key, ..)| *key).chain([RATE.0]).collect();
    let mut turn = 0;
    loop {
        let wait = Duration::from_millis(random.random_range(300..2500));
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return Ok(());
        }
        let key = keys[random.random_range(0..keys.len())];
        // At once, or as work that is planned: every third time, from the second on.
        turn += 1;
        let ahead = (turn % 3 == 2).then(|| Duration::from_millis(random.random_range(100..1500)));
        let window = Window { from: ahead.map(|ahead| Utc::now() + ahead), ..Window::default() };
        let act = stage.ledger.means(Deed::HoldKey(key.into(), ahead.map(|ahead| clock::now_us() + ahead.as_micros() as i64)))?;
        until_answered(|| pause::begin(&stage.pool, Scope::Key, key, window, "robot", None)).await?;
        stage.ledger.was_told(act, "done")?;
        moment(&mut random, &stop, ahead.unwrap_or_default()).await;
        let act = stage.ledger.means(Deed::FreeKey(key.into()))?;
        until_answered(|| pause::resume(&stage.pool, Scope::Key, key, "robot")).await?;
        stage.ledger.was_told(act, "done")?;
    }
}

/// How long something is held, from so far ahead.
async fn moment(random: &mut StdRng, stop: &CancellationToken, ahead: Duration) {
    let time = ahead + Duration::from_millis(random.random_range(200..2600));
    let _ = stop.run_until_cancelled(tokio::time::sleep(time)).await;
}

async fn set_paused(stage: &Stage, paused: bool) -> anyhow::Result<()> {
    let act = stage.ledger.means(if paused { Deed::Pause } else { Deed::Resume })?;
    let text = "insert into engine.queue (name, paused) values ($1, $2) on conflict (name) do update set paused = excluded.paused";
    until_answered(async || Ok(sqlx::query(text).bind(QUEUE).bind(paused).execute(&stage.pool).await?)).await?;
    Ok(stage.ledger.was_told(act, "done")?)
}
