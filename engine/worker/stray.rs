//! Strays: jobs that the database says this worker holds, and of which it knows nothing.
//!
//! A claim is committed before its answer arrives. When the connection is lost between the two the jobs belong to a
//! worker that lives and never runs them, and no rescue would ever look at them. So the claimer looks for such
//! claims whenever it connects, and from time to time, since a server may still commit what a lost client asked for.

use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::session::Session;
use crate::{
    planted::planted,
    store::{
        self,
        attempt::{Ended, Verdict},
    },
};

const PERIOD: Duration = Duration::from_secs(2);

/// Looks for strays. Only the claimer does, on its own connection, so that no claim of its own is on its way meanwhile.
#[derive(Default)]
pub(super) struct Strays {
    looked: Option<Instant>,
}

impl Strays {
    /// A connection was lost: look again before the next claim.
    pub(super) const fn look_at_once(&mut self) {
        self.looked = None;
    }

    /// Gives back the strays, when it is time to look.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn release(&mut self, session: &Session, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.looked.is_some_and(|looked| looked.elapsed() < PERIOD) || planted!("strays are left lying") {
            return Ok(());
        }
        let mut known = session.open_claims();
        known.extend(&*session.left_to_rescue.lock().expect("no holder of this lock panics"));
        let strays = store::claim::strays(connection, session.worker_id, &known).await?;
        self.looked = Some(Instant::now());
        if strays.is_empty() {
            return Ok(());
        }
        tracing::warn!(worker.id = session.worker_id, jobs = strays.len(), "the answer to a claim was lost: its jobs are released");
        session.holds(strays.iter().map(|stray| stray.claim_id));
        for stray in strays {
            // Should it come up again, it cannot be recorded.
            session.leave_to_rescue(stray.claim_id);
            let (claim_id, job_id, attempt) = (stray.claim_id, stray.job_id, stray.attempt);
            session
                .ended(Ended {
                    claim_id,
                    lane_id: 0,
                    job_id,
                    attempt,
                    run_us: 0,
                    unique_key: false,
                    has_parent: false,
                    limited: false,
                    permitted: true,
                    in_run: stray.in_runs,
                    taken_to: 0,
                    verdict: Verdict::Released,
                })
                .await;
        }
        Ok(())
    }
}
