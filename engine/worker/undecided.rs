//! An attempt does not end while a commit that it asked for may still come: what it wrote would come after its end, and beside
//! what the next attempt does.
//!
//! A handler that is stopped is dropped wherever it is, so also after it asked for a commit and before it was answered. Of
//! jobs that are worked on in one call only the worker's wait is dropped; the call goes on.

use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::{patience, session::Session};
use crate::store::{
    claim::{self, Claimed},
    worker,
};

/// How long a commit may take. Then the session that it was asked in is ended: it is of a connection that died silently, or it
/// waits for other servers.
const LONGEST: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Waits until every commit of the attempt has come or cannot come any more; false when the worker was declared dead before.
pub(super) async fn is_decided(session: &Session, job: &Claimed) -> bool {
    tokio::select! {
        () = decided(session, job) => true,
        () = session.lost.cancelled() => false,
    }
}

async fn decided(session: &Session, job: &Claimed) {
    let mut pause = FIRST_PAUSE;
    loop {
        let asking = async { look_until_let_go(session, &mut session.connect().await?, job).await };
        match asking.await {
            Ok(()) => return,
            // Nor can the end be recorded meanwhile.
            Err(error) => tracing::debug!(job.id = %job.job_id, %error, "cannot ask whether a commit of the job is under way"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn look_until_let_go(session: &Session, connection: &mut PgConnection, job: &Claimed) -> Result<(), sqlx::Error> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    while !patience::answer(session, claim::is_let_go(connection, job.job_id)).await? {
        if begun.elapsed() >= LONGEST {
            let ended = patience::answer(session, worker::end_commits(connection, job.job_id)).await?;
            tracing::warn!(job.id = %job.job_id, job.kind = job.kind, sessions = ended, "a commit was not answered for long: its session is ended");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}
