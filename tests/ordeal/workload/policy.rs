//! An operator who edits the retry policy while jobs fail: of a category, or of a kind in it. How often a job may fail stays as it is,
//! so that the model holds; only how long it waits changes.

use std::{sync::Arc, time::Duration};

use engine::{
    Job as _, StoreError,
    store::retry_policy::{self, Policy},
};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use tokio_util::sync::CancellationToken;

use crate::{
    chance::{Purpose, stream},
    kinds::Play,
    ledger::{Answer, Deed, Edit},
    model::OF_PROGRAMS,
    stage::Stage,
    wait::{about_data, until_answered},
};

/// Edits it until told to stop.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn run(stage: Arc<Stage>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut random = stream(stage.seed, Purpose::Robot, 6);
    for number in 1.. {
        let wait = Duration::from_millis(random.random_range(300..2000));
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            break;
        }
        let edit = draw(&mut random, number);
        let act = stage.ledger.means(Deed::Edit(edit.clone()))?;
        let answer = until_answered(|| write(&stage, &edit)).await.map_or_else(|refused| refused.to_string(), |()| "written".into());
        stage.ledger.was_told(act, Answer::Words(answer))?;
    }
    Ok(())
}

/// An edit that no other is like: the last delay is of a retry that no program has.
fn draw(random: &mut StdRng, number: i32) -> Edit {
    let (category, ..) = OF_PROGRAMS.choose(random).copied().unwrap_or_default();
    let kind = random.random_ratio(1, 2).then(|| Play::KIND.to_string());
    let is_removal = kind.is_some() && random.random_ratio(1, 3);
    let backoff_seconds = (!is_removal).then(|| vec![random.random_range(0..=1), 1, 1, number]);
    Edit { category: category.into(), kind, backoff_seconds }
}

async fn write(stage: &Stage, edit: &Edit) -> Result<(), StoreError> {
    let mut tx = stage.pool.begin().await?;
    retry_policy::lock(&mut tx).await?;
    retry_policy::act_as(&mut tx, "robot").await?;
    match (&edit.backoff_seconds, &edit.kind) {
        (Some(backoff_seconds), kind) => {
            let most = OF_PROGRAMS.iter().find(|(name, ..)| *name == edit.category).map_or(1, |(_, most, _)| *most);
            let row = Policy {
                category: edit.category.clone(),
                kind: kind.clone(),
                max_attempts: most,
                backoff_seconds: backoff_seconds.clone(),
                alert_on_attempt: None,
                escalate_on_attempt: None,
                description: None,
                version: 0,
            };
            retry_policy::put(&mut tx, &row).await.map_err(refused)?;
        }
        (None, Some(kind)) => drop(retry_policy::remove_override(&mut tx, &edit.category, kind).await?),
        (None, None) => (),
    }
    Ok(tx.commit().await?)
}

/// What the database says of the row; otherwise it is asked again.
fn refused(error: sqlx::Error) -> StoreError {
    if about_data(&error) { StoreError::Refused(error.to_string()) } else { error.into() }
}
