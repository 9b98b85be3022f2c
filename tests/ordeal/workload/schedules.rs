//! An operator who gives a schedule other lines, pauses it, lets it go on, and runs it by hand, while schedulers come and go.

use std::{sync::Arc, time::Duration};

use engine::{
    StoreError,
    schedule::edit::{self, Change, EditError},
};
use rand::RngExt;
use sqlx::Executor;
use tokio_util::sync::CancellationToken;

use crate::{
    chance::{Purpose, stream},
    ledger::{Answer, Deed, Seen, Turn},
    process::child::EDITED,
    stage::Stage,
    wait::until_answered,
};

/// Over and over: no line is given to it twice in succession, and one while it is paused.
const TURNS: [Turn; 9] =
    [Turn::Every(3), Turn::Pause, Turn::Resume, Turn::Pause, Turn::Every(1), Turn::Resume, Turn::Every(2), Turn::Pause, Turn::Resume];

const AGAIN: Duration = Duration::from_millis(50);

/// Does so until it is told to stop; in the end the schedule goes on.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn run(stage: Arc<Stage>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut random = stream(stage.seed, Purpose::Schedules, 0);
    let (mut paused, mut by_hand) = (false, 0);
    for next in TURNS.into_iter().cycle() {
        let wait = Duration::from_millis(random.random_range(400..4000));
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            break;
        }
        if random.random_ratio(1, 2) {
            by_hand += 1;
            turn(&stage, Turn::Run(by_hand)).await?;
        }
        turn(&stage, next).await?;
        paused = match next {
            Turn::Pause => true,
            Turn::Resume => false,
            Turn::Every(_) | Turn::Run(_) => paused,
        };
    }
    if paused { turn(&stage, Turn::Resume).await } else { Ok(()) }
}

/// Why it is run by hand, the how-manieth time.
pub fn reason(number: u32) -> String {
    format!("by hand, time {number}")
}

/// Does it. What is so already may rest on what the primary alone has, which goes with a promotion: it is asked again when the standby
/// has that.
async fn turn(stage: &Stage, turn: Turn) -> anyhow::Result<()> {
    loop {
        let seen = until_answered(|| look(stage)).await?;
        let act = stage.ledger.means(Deed::Schedule(turn, seen))?;
        let mut answer = ask(stage, turn).await;
        if matches!(answer, Err(EditError::Already(..))) {
            until_answered(|| look(stage)).await?;
            answer = ask(stage, turn).await;
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(EditError::Already(..)) => Answer::Already(until_answered(|| look(stage)).await?.at),
            // Nobody knows whether it was done, and a run by hand that is asked for again is another one.
            Err(EditError::Database(_)) if matches!(turn, Turn::Run(_)) => return Ok(()),
            // This is another deed then.
            Err(EditError::Database(_)) => {
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            Err(refused) => Answer::Words(refused.to_string()),
        };
        return Ok(stage.ledger.was_told(act, answer)?);
    }
}

/// How far it has come; the standby has it.
async fn look(stage: &Stage) -> Result<Seen, StoreError> {
    let mut tx = stage.pool.begin().await?;
    let seen: Seen = sqlx::query_as("select engine.now() as at, (select done_to from engine.schedule where name = $1) as done_to")
        .bind(EDITED.name)
        .fetch_one(&mut *tx)
        .await?;
    tx.execute("select engine.await_standby()").await?;
    tx.commit().await?;
    Ok(seen)
}

/// Asks while somebody else has it locked, such as a scheduler that is stopped: then nothing was done.
async fn ask(stage: &Stage, turn: Turn) -> Result<Answer, EditError> {
    loop {
        match ask_once(stage, turn).await {
            Err(EditError::Database(error)) if is_locked(&error) => tokio::time::sleep(AGAIN).await,
            answer => return answer,
        }
    }
}

fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03"))
}

async fn ask_once(stage: &Stage, turn: Turn) -> Result<Answer, EditError> {
    let (pool, by) = (&stage.pool, "robot");
    let in_force = match turn {
        Turn::Pause => edit::pause(pool, &EDITED, by, None).await?,
        Turn::Resume => edit::resume(pool, &EDITED, by, None).await?,
        Turn::Every(seconds) => {
            let change = Change { cron: Some(format!("*/{seconds} * * * * *")), ..Change::default() };
            edit::set(pool, &EDITED, by, None, &change).await?
        }
        Turn::Run(number) => {
            let made = edit::run_now(pool, &EDITED, by, Some(reason(number).as_str()), false).await?;
            return Ok(Answer::Made(made.id.0));
        }
    };
    Ok(in_force.changed_at.map_or_else(|| Answer::Words("nobody says since when".into()), Answer::Changed))
}
