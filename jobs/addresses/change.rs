//! A change of address and one target of it, for the jobs that tell it.

use std::time::Duration;

use engine::{JobResult, Outcome, Run};
use serde_json::{Value, json};
use uuid::Uuid;

use super::address::Address;
use crate::clients::http::CallError;

/// How long a change waits for an older one of its customer.
const TURN: Duration = Duration::from_secs(5);

/// A change and who is to hear of it.
pub(super) struct Telling {
    /// The row, in `raw_ops.address_changes`.
    pub change_id: Uuid,
    /// The target's name on the row.
    pub target: &'static str,
}

/// What is to be told.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Change {
    step: String,
    #[sqlx(json)]
    old_addresses: Vec<Address>,
    #[sqlx(json(nullable))]
    new_address: Option<Address>,
    /// Shopify's id of the customer.
    pub shopify_customer_id: Option<String>,
    /// The customer's first name.
    pub first_name: Option<String>,
    /// The customer's last name.
    pub last_name: Option<String>,
    /// Seal's ids of the customer's subscriptions that live.
    pub subscriptions: Vec<String>,
}

impl Change {
    /// Whether this is the door from before: that of this change, or of one before it which was not told either.
    pub fn is_from(&self, place: &Address) -> bool {
        self.old_addresses.iter().any(|old| place.is_same_door(old))
    }

    /// The address that is told.
    pub fn wanted(&self) -> Address {
        self.new_address.clone().unwrap_or_default()
    }
}

impl Telling {
    /// Says on the row that the target is being told.
    ///
    /// # Errors
    /// Those of the database. `Ok(Err(outcome))` when there is nothing to tell now; the job ends with it.
    pub async fn begin(&self, run: &Run) -> JobResult<Result<Change, Outcome>> {
        let mut tx = run.begin().await?;
        let begin = "select b.*, raw_ops.addresses_before($1, $2) as old_addresses from raw_ops.begin_address_sync($1, $2) b";
        let change: Change = sqlx::query_as(begin).bind(self.change_id).bind(self.target).fetch_one(&mut *tx).await?;
        match change.step.as_str() {
            "tell" => {
                tx.commit().await?;
                Ok(Ok(change))
            }
            "wait" => Ok(Err(Outcome::Snooze(TURN))),
            state => {
                run.called_nothing();
                run.complete_in(tx, json!({ "state": state })).await.map(Err)
            }
        }
    }

    /// Says on the row that the target has the address now, in the commit of the job's completion.
    pub async fn settle(&self, run: &Run, told: Value) -> JobResult {
        let mut tx = run.begin().await?;
        let state: String = sqlx::query_scalar("select raw_ops.settle_address_sync($1, $2, 'synced', null)")
            .bind(self.change_id)
            .bind(self.target)
            .fetch_one(&mut *tx)
            .await?;
        run.complete_in(tx, json!({ "state": state, "told": told })).await
    }

    /// Says on the row why the target does not have it yet; whether it is tried again is the policy's to say.
    pub async fn put_back(&self, run: &Run, error: CallError) -> JobResult {
        let mut tx = run.begin().await?;
        sqlx::query("select raw_ops.settle_address_sync($1, $2, 'pending', $3)")
            .bind(self.change_id)
            .bind(self.target)
            .bind(error.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Err(error.into())
    }
}
