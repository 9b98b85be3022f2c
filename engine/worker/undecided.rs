//! An attempt does not end while a transaction of it may still commit: what it wrote would come after its end, and beside
//! what the next attempt does.
//!
//! A handler that is stopped is dropped wherever it is, so also after it asked for a commit and before it was answered. Of
//! jobs that are worked on in one call only the worker's wait is dropped; the call, and its transactions, go on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::session::Session;
use crate::store::{
    attempt::Verdict,
    claim::{self, Claimed},
};

/// How long the end waits for them. What is open for longer belongs to a connection that died silently: it rolls back.
const LONGEST: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The verdict, when all transactions of the attempt are decided. `None`: they are not, and the job must not run elsewhere
/// before they are; whoever rescues it waits for them.
pub(super) async fn once_decided(session: &Arc<Session>, job: &Claimed, verdict: Verdict) -> Option<Verdict> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let asking = async { claim::is_let_go(&mut *session.pool.acquire().await?, job.job_id).await };
        match asking.await {
            Ok(true) => return Some(verdict),
            Ok(false) => (),
            Err(error) => tracing::debug!(job.id = %job.job_id, %error, "cannot ask whether a transaction of the job is open"),
        }
        if session.lost.is_cancelled() {
            return None;
        }
        if begun.elapsed() >= LONGEST {
            tracing::warn!(job.id = %job.job_id, job.kind = job.kind, "the attempt ends although a transaction of it is still open");
            return (!matches!(verdict, Verdict::Released)).then_some(verdict);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
