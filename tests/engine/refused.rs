//! What becomes of an attempt that was told that it is somebody else's, when it is not: a server that was replaced by its standby
//! may have said so of a verdict that the standby never had.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use engine::{Client, Job, JobResult, Kinds, Outcome, Run, WorkerConfig};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::Notify;

use super::jobs::{Running, of, outcomes, until_state};
use crate::support::{Database, ledger, wait};

static BEGUN: AtomicBool = AtomicBool::new(false);
static IS_REFUSED: AtomicBool = AtomicBool::new(false);
static GO_ON: Notify = Notify::const_new();

/// Begins a transaction when it is told to, and ends when it is told to: in its first attempt it is refused.
#[derive(Serialize, Deserialize)]
struct Refused {
    /// Whether it says all the same that it is done.
    hides_it: bool,
}

impl Job for Refused {
    const KIND: &'static str = "test.refused";

    async fn run(&self, run: &mut Run) -> JobResult {
        if run.attempt() == 1 {
            BEGUN.store(true, Ordering::Release);
            GO_ON.notified().await;
        }
        let begun = run.begin().await;
        if run.attempt() == 1 {
            IS_REFUSED.store(begun.is_err(), Ordering::Release);
            GO_ON.notified().await;
        }
        if !self.hides_it {
            begun?;
        }
        Ok(Outcome::done())
    }
}

/// Makes claims those of other jobs; a second time makes them what they were.
async fn turn_claims_round(pool: &PgPool) {
    sqlx::query("update engine.claim set ids = array(select -id from unnest(ids) id)").execute(pool).await.expect("claims can be changed");
}

#[tokio::test]
async fn an_attempt_that_was_refused_is_given_back_whatever_it_returns() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let worker = Running::with(db.pool(), Kinds::new().with::<Refused>(), WorkerConfig::default());
    for hides_it in [false, true] {
        let id = client.enqueue(&of(&Refused { hides_it }).max_attempts(1)).await.expect("enqueued").id;
        wait::until("it runs", Duration::from_secs(20), || async { BEGUN.swap(false, Ordering::AcqRel) }).await;
        turn_claims_round(db.pool()).await;
        GO_ON.notify_one();
        wait::until("it is refused", Duration::from_secs(20), || async { IS_REFUSED.swap(false, Ordering::AcqRel) }).await;
        turn_claims_round(db.pool()).await;
        GO_ON.notify_one();
        until_state(db.pool(), id, "completed").await;
        assert_eq!(outcomes(db.pool(), id).await, ["released", "completed"]);
    }
    worker.stop().await;
    ledger::check(db.pool()).await;
}
