//! Runs a job, and after it those of its limit key that follow it on its slot.

use std::{collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use apalis_core::task::data::Data;
use tokio::time::Sleep;

use super::{execute::execute, session::Session};
use crate::{
    failpoint::around,
    planted::planted,
    store::{attempt::Verdict, claim::Claimed},
};

/// How much longer than planned a run may take; those that have not begun by then are given back.
const GRACE: Duration = Duration::from_millis(100);

/// The handler that apalis calls for each job.
pub(super) async fn follow(mut job: Claimed, session: Data<Arc<Session>>) {
    let session: &Arc<Session> = &session;
    let mut line = VecDeque::from(std::mem::take(&mut job.followers));
    if planted!("a run goes on side by side") {
        let all = std::iter::once(job).chain(line).map(|job| async move { execute(&job, session).await });
        return drop(futures_util::future::join_all(all).await);
    }
    let late = tokio::time::sleep(session.program.config.run_time + GRACE);
    tokio::pin!(late);
    loop {
        let has_ended = execute_before(&mut line, &job, session, late.as_mut()).await;
        let Some(next) = line.pop_front() else { return };
        let goes_on = has_ended && !late.is_elapsed() && !session.is_over();
        if !goes_on || around("run/next", async { Ok::<(), sqlx::Error>(()) }).await.is_err() {
            line.push_front(next);
            return leave(line, has_ended, session).await;
        }
        job = next;
    }
}

/// Runs a job. When it takes its time, those of the line go back: the last stays, for it has the slot.
async fn execute_before(line: &mut VecDeque<Claimed>, job: &Claimed, session: &Arc<Session>, late: Pin<&mut Sleep>) -> bool {
    let running = execute(job, session);
    tokio::pin!(running);
    tokio::select! {
        biased;
        has_ended = &mut running => has_ended,
        () = late, if line.len() > 1 => {
            let last = line.split_off(line.len() - 1);
            for job in std::mem::replace(line, last) {
                session.release(job).await;
            }
            running.await
        }
    }
}

/// Gives back jobs that have not begun, in their order. The slot goes with the last of them, unless the one before may still
/// be going on.
async fn leave(mut line: VecDeque<Claimed>, has_ended: bool, session: &Session) {
    let kept = if has_ended { None } else { line.pop_back() };
    for job in line {
        session.release(job).await;
    }
    if let Some(last) = kept {
        session.ended(last.ended(0, Verdict::Settled)).await;
    }
}
