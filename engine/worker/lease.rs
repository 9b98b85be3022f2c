//! The lease: renewed on a thread and a connection of its own, so that no handler can starve it.

use std::{sync::Arc, thread, time::Duration};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{complaint, patience, session::Session, stop::Stop};
use crate::{JobId, planted::planted, store::worker as store};

/// A renewal also brings the cancels of running jobs, so it is made at least this often.
const LOOK: Duration = Duration::from_secs(1);

/// The thread that renews one lease.
pub(super) struct LeaseThread {
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl LeaseThread {
    /// Stops renewing; the last renewal is over when this returns.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        let _ = self.ended.await;
    }
}

/// Starts the thread.
pub(super) fn spawn(session: &Arc<Session>) -> std::io::Result<LeaseThread> {
    let stop = CancellationToken::new();
    let (over, ended) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (session, stopping) = (session.clone(), stop.clone());
    thread::Builder::new().name("rawops-lease".into()).spawn(move || {
        let stopped_in_order = session.lost.clone().drop_guard();
        runtime.block_on(renew_until(&session, &stopping));
        // Only a panic leaves the guard armed: a worker whose lease nobody renews must not go on.
        stopped_in_order.disarm();
        drop(session);
        let _ = over.send(());
    })?;
    Ok(LeaseThread { stop, ended })
}

async fn renew_until(session: &Session, stop: &CancellationToken) {
    let lease = session.program.config.lease;
    while !stop.is_cancelled() && !session.lost.is_cancelled() {
        let renewing = async {
            let mut connection = tokio::time::timeout(lease / 2, session.connect()).await.unwrap_or_else(|_| Err(patience::no_answer()))?;
            loop {
                // A connection that died silently must not hold the lease up: give up on it after half a lease.
                let renewal = store::renew(&mut connection, session.worker_id, session.program.config.lease_ms());
                match tokio::time::timeout(lease / 2, renewal).await {
                    Ok(Ok(Some(cancelled))) => stop_cancelled(session, &cancelled),
                    Ok(Ok(None)) if planted!("a worker does not hear that it is dead") => (),
                    Ok(Ok(None)) => {
                        session.lost.cancel();
                        return Ok(());
                    }
                    Ok(Err(error)) => return Err(error),
                    Err(_) => return Err(patience::no_answer()),
                }
                if session.pulse.age() > session.program.config.stall_limit {
                    give_up_stalled(session);
                    return Ok(());
                }
                tokio::time::sleep((lease / 4).min(LOOK)).await;
            }
        };
        let outcome: Result<(), sqlx::Error> = tokio::select! {
            outcome = renewing => outcome,
            () = stop.cancelled() => return,
        };
        if let Err(error) = outcome {
            complaint::warn(session.worker_id, "cannot renew the lease, trying again", &error);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    if session.lost.is_cancelled() {
        tracing::error!(worker.id = session.worker_id, "this worker was declared dead: it stops all it runs and writes nothing");
    }
}

/// Lets the lease run out: what this process holds runs elsewhere, and its own late results are refused.
fn give_up_stalled(session: &Session) {
    let running: Vec<String> =
        session.running.lock().expect("no holder of this lock panics").keys().map(|(id, _)| id.to_string()).collect();
    tracing::error!(
        worker.id = session.worker_id,
        jobs = running.join(", "),
        stalled_ms = session.pulse.age().as_millis(),
        "handlers block every thread of the runtime: the lease is given up. Move blocking work to tokio::task::spawn_blocking"
    );
    session.lost.cancel();
}

fn stop_cancelled(session: &Session, cancelled: &[JobId]) {
    if !cancelled.is_empty() {
        session.stop(|id| cancelled.contains(&id) && !planted!("a running job is not told to cancel"), Stop::Cancel);
    }
}
