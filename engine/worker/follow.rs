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
use futures_util::future::BoxFuture;
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

/// The handler that apalis calls for each job. What it returns is moved several times on its way, so it is small.
pub(super) fn follow(job: Claimed, session: Data<Arc<Session>>) -> BoxFuture<'static, ()> {
    Box::pin(run(job, session))
}

async fn run(mut job: Claimed, session: Data<Arc<Session>>) {
    let session: &Arc<Session> = &session;
    let mut line = VecDeque::from(std::mem::take(&mut job.followers));
    if planted!("a run goes on side by side") {
        let all = std::iter::once(job).chain(line).map(|job| async move { execute(&job, session, &AtomicBool::default()).await });
        return drop(Box::pin(futures_util::future::join_all(all)).await);
    }
    let late = tokio::time::sleep(session.program.config.run_time + GRACE);
    tokio::pin!(late);
    loop {
        let has_ended = execute_before(&mut line, &job, session, late.as_mut()).await;
        let Some(next) = line.pop_front() else { return };
        let goes_on = has_ended && !late.is_elapsed() && !session.is_over();
        if !goes_on || around("run/next", async { Ok::<(), sqlx::Error>(()) }).await.is_err() {
            line.push_front(next);
            return Box::pin(leave(line, has_ended, session)).await;
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
            Box::pin(go_back(line, job, session, &seated)).await;
            running.await
        }
    }
}

/// Gives back the line behind a job that takes its time.
async fn go_back(line: &mut VecDeque<Claimed>, job: &Claimed, session: &Arc<Session>, seated: &AtomicBool) {
    let last = line.pop_back();
    for job in line.drain(..) {
        session.release(job).await;
    }
    let Some(last) = last else { return };
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what a function returns, without calling it.
    fn size<A, B, F>(_: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_work_around_a_handler_is_small() {
        let bytes = size(run);
        assert!(bytes <= 3072, "{bytes} bytes are allocated for each job: box what is rarely awaited");
    }
}
