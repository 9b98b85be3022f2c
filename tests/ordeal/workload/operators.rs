//! Operators: robots that cancel, pause and resume while faults strike.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use engine::{
    JobId,
    store::{
        breaker, cancel_request,
        pause::{self, Scope, Window},
    },
};
use rand::{RngExt, rngs::StdRng};
use tokio_util::sync::CancellationToken;

use crate::{
    chance::{Purpose, stream},
    clock,
    kinds::{CALLED, QUEUE},
    ledger::{Answer, Deed, Held},
    program::{LIMITS, Played, RATE},
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
    Ok(stage.ledger.was_told(act, Answer::Words(answer))?)
}

/// Holds all programs for a moment, those of one kind or those of the other, again and again, and lets them go on.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn hold_programs(stage: Arc<Stage>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut random = stream(stage.seed, Purpose::Robot, 1);
    let kinds = Played::ALL.map(Held::Kind);
    let first = random.random_range(0..2 * kinds.len());
    for held in kinds.iter().flat_map(|kind| [kind, &Held::Queue]).cycle().skip(first) {
        let wait = Duration::from_millis(random.random_range(4000..9000));
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            break;
        }
        let act = stage.ledger.means(Deed::Hold(held.clone(), None))?;
        hold(&stage, held, Window::default()).await?;
        stage.ledger.was_told(act, Answer::Words("held".into()))?;
        moment(&mut random, &stop, Duration::ZERO).await;
        free(&stage, held).await?;
    }
    Ok(())
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
        let held = Held::Key(key.into());
        let from_us = ahead.map(|ahead| clock::now_us() + ahead.as_micros() as i64);
        let act = stage.ledger.means(Deed::Hold(held.clone(), from_us))?;
        hold(&stage, &held, window).await?;
        stage.ledger.was_told(act, Answer::Words("held".into()))?;
        moment(&mut random, &stop, ahead.unwrap_or_default()).await;
        free(&stage, &held).await?;
    }
}

/// Holds the breaker of the programs' outside system for a moment, open or at times closed, and lets it decide by itself again.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn hold_breaker(stage: Arc<Stage>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut random = stream(stage.seed, Purpose::Robot, 7);
    for closed in [false, true, false].into_iter().cycle() {
        let wait = Duration::from_millis(random.random_range(800..3000));
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            break;
        }
        let act = stage.ledger.means(if closed { Deed::Close } else { Deed::Hold(Held::Breaker, None) })?;
        set_breaker(&stage, Some(if closed { breaker::Held::Closed } else { breaker::Held::Open })).await?;
        stage.ledger.was_told(act, Answer::Words("held".into()))?;
        moment(&mut random, &stop, Duration::ZERO).await;
        free(&stage, &Held::Breaker).await?;
    }
    Ok(())
}

/// Holds it; a queue by the switch that it has, as an administrator might.
async fn hold(stage: &Stage, held: &Held, window: Window) -> anyhow::Result<()> {
    match scope(held) {
        Some((scope, name)) => drop(until_answered(|| pause::begin(&stage.pool, scope, name, window, "robot", None)).await?),
        None if *held == Held::Breaker => set_breaker(stage, Some(breaker::Held::Open)).await?,
        None => set_paused(stage, true).await?,
    }
    Ok(())
}

async fn free(stage: &Stage, held: &Held) -> anyhow::Result<()> {
    let act = stage.ledger.means(Deed::Free(held.clone()))?;
    match scope(held) {
        Some((scope, name)) => drop(until_answered(|| pause::resume(&stage.pool, scope, name, "robot")).await?),
        None if *held == Held::Breaker => set_breaker(stage, None).await?,
        None => set_paused(stage, false).await?,
    }
    Ok(stage.ledger.was_told(act, Answer::Words("free".into()))?)
}

/// What is paused; the queue and the breaker have switches of their own.
fn scope(held: &Held) -> Option<(Scope, &str)> {
    match held {
        Held::Queue | Held::Breaker => None,
        Held::Kind(played) => Some((Scope::Kind, played.kind())),
        Held::Key(key) => Some((Scope::Key, key.as_str())),
    }
}

/// How long something is held, from so far ahead.
async fn moment(random: &mut StdRng, stop: &CancellationToken, ahead: Duration) {
    let time = ahead + Duration::from_millis(random.random_range(200..2600));
    let _ = stop.run_until_cancelled(tokio::time::sleep(time)).await;
}

async fn set_paused(stage: &Stage, paused: bool) -> anyhow::Result<()> {
    let text = "insert into engine.queue (name, paused) values ($1, $2) on conflict (name) do update set paused = excluded.paused";
    Ok(until_answered(async || Ok(sqlx::query(text).bind(QUEUE).bind(paused).execute(&stage.pool).await?)).await.map(drop)?)
}

async fn set_breaker(stage: &Stage, held: Option<breaker::Held>) -> anyhow::Result<()> {
    let is_there = until_answered(|| breaker::hold(&stage.pool, CALLED, held, "robot", None)).await?;
    anyhow::ensure!(is_there, "there is no breaker of {CALLED}");
    Ok(())
}
