//! Tell Seal where a customer's subscriptions go now.
//!
//! row says `telling` -> each subscription: read, compare, write -> row says `synced`, in the commit of this job's completion
//!
//! Started by  a row of raw_ops.address_changes whose seal_state is pending
//! Unique by   row, while a job for it lives; changes of one customer take turns, and the newest wins
//! Retried     after any failure that passes: each subscription is read first, and one that has the address is left alone
//! Rejected    when several subscriptions live and none goes to the address from before
//!
//! Seal plans all payments anew at each write, so nothing is written twice: after a write of which nobody knows whether it was
//! done the subscription is read back, and only a later attempt writes again. Of several subscriptions only those move that
//! went to the address from before, or to one from before it that was never told; the others are somebody else's. When the job
//! dies, the trigger `mark_address_failed` says so on the row.

use std::time::Duration;

use engine::{Category, Job, JobResult, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::change::{Change, Telling};
use crate::clients::{
    Outside,
    http::{CallError, Reached},
    seal::{self, Seal, Subscription},
};

/// Tells Seal of the change of this row.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct SyncToSeal {
    /// The row, in `raw_ops.address_changes`.
    pub change_id: Uuid,
}

/// What was done with a customer's subscriptions, by Seal's ids.
#[derive(Debug, Default, Serialize)]
struct Told {
    /// Written.
    moved: Vec<String>,
    /// There already.
    there: Vec<String>,
    /// Gone to another address, and left so.
    elsewhere: Vec<String>,
}

impl Job for SyncToSeal {
    const KIND: &'static str = "addresses.sync_to_seal";
    const QUEUE: &'static str = "addresses";
    const TIMEOUT: Duration = Duration::from_mins(2);
    const CALLS: Option<&'static str> = Some(seal::API);

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let seal = &run.shared::<Outside>()?.seal;
        let telling = Telling { change_id: self.change_id, target: "seal" };
        let change = match telling.begin(run).await? {
            Ok(change) => change,
            Err(outcome) => return Ok(outcome),
        };
        match tell(seal, &change, run).await {
            Ok(told) => telling.settle(run, json!(told)).await,
            Err(error) => telling.put_back(run, error).await,
        }
    }
}

/// Reads all, compares, and writes those that are to move.
async fn tell(seal: &Seal, change: &Change, run: &Run) -> Result<Told, CallError> {
    let (mut told, mut moving) = (Told::default(), Vec::new());
    let new = change.wanted();
    let is_only_one = change.subscriptions.len() == 1;
    for id in &change.subscriptions {
        let subscription = seal.subscription(id, run).await?;
        let place = &subscription.ships_to;
        match () {
            () if place.is_same_place(&new) => told.there.push(id.clone()),
            () if is_only_one || place.is_empty() || change.is_from(place) => moving.push(subscription),
            () => told.elsewhere.push(id.clone()),
        }
    }
    if moving.is_empty() && told.there.is_empty() {
        let words = "none of the customer's subscriptions goes to the address from before: say in Seal which is to move";
        return Err(CallError::new(seal::SYSTEM, Reached::Nothing, Category::BusinessRule, words));
    }
    for subscription in moving {
        write(seal, &subscription, change, run).await?;
        told.moved.push(subscription.id);
    }
    Ok(told)
}

/// Writes the address of one subscription, once. Where nobody knows whether it was done, what stands there says so.
async fn write(seal: &Seal, subscription: &Subscription, change: &Change, run: &Run) -> Result<(), CallError> {
    let wanted = change.wanted();
    match seal.ship_to(&subscription.id, &wanted, run).await {
        Err(error) if !error.did_nothing() => {
            let there = seal.subscription(&subscription.id, run).await.map_err(|_| error.clone())?;
            if there.ships_to.is_same_place(&wanted) { Ok(()) } else { Err(error) }
        }
        written => written,
    }
}
