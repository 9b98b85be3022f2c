//! Operators that deal with dead letters: they run their jobs again, as they were or with other arguments, or put them away; two robots
//! do it at once, on the same letters.

use std::{sync::Arc, time::Duration};

use engine::{
    StoreError,
    store::dead_letter::{self, Letter},
};
use rand::{RngExt, rngs::StdRng};
use serde_json::value::{RawValue, to_raw_value};
use tokio_util::sync::CancellationToken;

use super::draw;
use crate::{
    chance::{Purpose, stream},
    kinds::Play,
    ledger::{Act, Answer, Deed},
    stage::Stage,
    wait::until_answered,
};

/// Why letters are put away.
pub const REASON: &str = "of no use";

/// Deals with the letters of programs: one by one, or many `together`.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn run(stage: Arc<Stage>, together: bool, stop: CancellationToken) -> anyhow::Result<()> {
    let mut random = stream(stage.seed, Purpose::Robot, 4 + u64::from(together));
    let filter = dead_letter::Filter { kind: Some("ordeal.play".into()), ..dead_letter::Filter::default() };
    let (most, mut page) = (if together { 20 } else { 3 }, Vec::new());
    while stop.run_until_cancelled(tokio::time::sleep(Duration::from_millis(700))).await.is_some() {
        // At times they act on a page that they opened before: others, or they themselves, have dealt with these meanwhile.
        if !random.random_ratio(1, 3) {
            page = dead_letter::list(&stage.pool, &filter, most).await.unwrap_or_default();
            if await_standby(&stage).await.is_err() {
                page.clear();
            }
        }
        let deeds = page.iter().filter_map(|letter| deed(&mut random, letter));
        let asked = deeds.map(|deed| stage.ledger.means(deed)).collect::<Result<Vec<_>, _>>()?;
        if together {
            let (requeued, discarded): (Vec<Act>, Vec<Act>) = asked.into_iter().partition(|act| !matches!(act.what, Deed::Discard(_)));
            requeue_together(&stage, requeued).await?;
            deal_with_each(&stage, discarded).await?;
        } else {
            deal_with_each(&stage, asked).await?;
        }
    }
    Ok(())
}

/// What is done with a letter. Only what does nothing but fail is run again as it was: everything else would be done twice.
fn deed(random: &mut StdRng, letter: &Letter) -> Option<Deed> {
    let play = serde_json::from_str::<Play>(letter.payload.0.get()).ok()?;
    if draw::only_fails(&play.acts) && random.random_ratio(2, 3) {
        return Some(Deed::Repeat(letter.id));
    }
    if random.random_ratio(1, 5) {
        return Some(Deed::Discard(letter.id));
    }
    Some(Deed::Requeue(letter.id, draw::brief(format!("{}/again-{}", play.key, letter.job_id?))))
}

/// The arguments that a deed gives a job; none where it keeps its own.
fn arguments(deed: &Deed) -> serde_json::Result<Option<Box<RawValue>>> {
    let Deed::Requeue(_, program) = deed else { return Ok(None) };
    to_raw_value(&serde_json::json!({ "key": program.key, "acts": program.acts })).map(Some)
}

async fn deal_with_each(stage: &Stage, asked: Vec<Act>) -> anyhow::Result<()> {
    for act in asked {
        let answer = deal_with(stage, &act.what).await?;
        stage.ledger.was_told(act, answer)?;
    }
    Ok(())
}

/// Does it. What is refused may rest on what the primary alone has, which goes with a promotion: it is asked again when the standby has it.
async fn deal_with(stage: &Stage, deed: &Deed) -> anyhow::Result<Answer> {
    let first = ask(stage, deed).await?;
    if matches!(first, Answer::Requeued(_) | Answer::Discarded) {
        return Ok(first);
    }
    until_answered(|| await_standby(stage)).await?;
    ask(stage, deed).await
}

async fn ask(stage: &Stage, deed: &Deed) -> anyhow::Result<Answer> {
    let Some(letter) = deed.letter() else { anyhow::bail!("{deed:?} is of no letter") };
    let answer = if matches!(deed, Deed::Discard(_)) {
        until_answered(|| dead_letter::discard(&stage.pool, letter, "robot", REASON)).await.map(|()| Answer::Discarded)
    } else {
        let args = arguments(deed)?;
        until_answered(|| dead_letter::requeue(&stage.pool, letter, "robot", args.clone())).await.map(|id| Answer::Requeued(id.0))
    };
    Ok(answer.unwrap_or_else(|refused| refusal(&refused)))
}

/// What was seen is on the standby when this is answered.
pub(super) async fn await_standby(stage: &Stage) -> Result<(), StoreError> {
    Ok(sqlx::query("select engine.await_standby()").execute(&stage.pool).await.map(drop)?)
}

async fn requeue_together(stage: &Stage, asked: Vec<Act>) -> anyhow::Result<()> {
    let letters: Vec<_> = asked.iter().filter_map(|act| act.what.letter()).collect();
    let args = asked.iter().map(|act| arguments(&act.what)).collect::<Result<Vec<_>, _>>()?;
    let came = until_answered(|| dead_letter::requeue_many(&stage.pool, &letters, "robot", &args)).await?;
    for act in asked {
        let answer = came.iter().find(|answer| Some(answer.letter) == act.what.letter());
        let answer = match answer.map(|answer| &answer.job) {
            Some(Ok(id)) => Answer::Requeued(id.0),
            Some(Err(_)) => deal_with(stage, &act.what).await?,
            None => Answer::Words("nothing is said of it".into()),
        };
        stage.ledger.was_told(act, answer)?;
    }
    Ok(())
}

fn refusal(refused: &StoreError) -> Answer {
    match refused {
        StoreError::LetterResolved(..) => Answer::Resolved,
        StoreError::LetterKeyHeld(_, holder) => Answer::HeldBy(holder.0),
        other => Answer::Words(other.to_string()),
    }
}
