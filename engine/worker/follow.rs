//! Runs a job, and after it those of its limit key that follow it on its slot.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use apalis_core::task::data::Data;
use tokio::time::Sleep;

use super::{execute::execute, session::Session};
use crate::{
    failpoint::around,
    planted::planted,
    store::{
        attempt::Verdict,
        claim::{Claimed, reseat},
    },
};

/// How much longer than planned a run may take; those that have not begun by then are given back.
const GRACE: Duration = Duration::from_millis(100);
/// How long the database may take to give the slot to the job that takes its time.
const RESEAT: Duration = Duration::from_secs(1);

/// The handler that apalis calls for each job.
pub(super) async fn follow(mut job: Claimed, session: Data<Arc<Session>>) {
    let session: &Arc<Session> = &session;
    let mut line = VecDeque::from(std::mem::take(&mut job.followers));
    if planted!("a run goes on side by side") {
        let all = std::iter::once(job).chain(line).map(|job| async move { execute(&job, session, &AtomicBool::default()).await });
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

/// Runs a job. When it takes its time, those of the line go back, and it gets the slot of the last. While that cannot be had,
/// the last stays.
async fn execute_before(line: &mut VecDeque<Claimed>, job: &Claimed, session: &Arc<Session>, late: Pin<&mut Sleep>) -> bool {
    let seated = AtomicBool::default();
    let running = execute(job, session, &seated);
    tokio::pin!(running);
    tokio::select! {
        biased;
        has_ended = &mut running => has_ended,
        () = late, if !line.is_empty() => {
            let last = line.pop_back();
            for job in line.drain(..) {
                session.release(job).await;
            }
            if let Some(last) = last {
                match take_slot(job, &last, session).await {
                    Some(true) => {
                        seated.store(true, Ordering::Release);
                        session.release(last).await;
                    }
                    unsure => {
                        seated.store(unsure.is_none(), Ordering::Release);
                        line.push_back(last);
                    }
                }
            }
            running.await
        }
    }
}

/// Whether the job has the slot of the last now; `None` when the database did not say. Its end waits for that, and says what it holds.
async fn take_slot(job: &Claimed, last: &Claimed, session: &Session) -> Option<bool> {
    let asking = async { reseat(&mut *session.pool.acquire().await?, session.worker_id, job, last).await };
    tokio::time::timeout(RESEAT, asking).await.ok()?.ok()
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
