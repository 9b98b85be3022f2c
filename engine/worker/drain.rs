//! Running what there is to do and coming back: for tests, and for commands that run once.

use std::{
    panic::resume_unwind,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::PgConnection;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::{Worker, WorkerError, complaint, live, patience, session::Session};
use crate::store::{attempt::Verdict, parked, place};

/// The least time between two looks at what is left, and how many times as long as a look it is.
const LOOK: Duration = Duration::from_millis(10);
const SHARE: u32 = 4;
/// How many that missed their event are woken at once.
const MISSED: i64 = 500;

/// How the attempts ended that one [`Worker::drain`] ran, as it saw them, among them those of the engine's own jobs, which undo workflows
/// and gather batches. One whose end came too late, since the worker was declared dead, counts too, and so does the next of its job: how
/// a job ended is said by [`Client::ending`](crate::Client::ending).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// They completed their jobs.
    pub completed: u64,
    /// They failed: their jobs are to be tried again, or are dead.
    pub failed: u64,
    /// Their jobs were cancelled, or came up after their deadline.
    pub cancelled: u64,
    /// Their jobs come again later.
    pub snoozed: u64,
    /// Their workflows wait: for a time, an event or children.
    pub waiting: u64,
}

/// What the lives of a worker that drains have in common.
#[derive(Default)]
pub(super) struct Drain {
    /// Nothing is left, or there is no time for it.
    over: CancellationToken,
    drained: Mutex<Drained>,
}

impl Drain {
    /// Counts the end of an attempt.
    pub(super) fn count(&self, verdict: &Verdict) {
        let mut drained = self.drained.lock().unwrap_or_else(PoisonError::into_inner);
        match verdict {
            Verdict::Settled | Verdict::Completed(_) => drained.completed += 1,
            Verdict::Failed { .. } => drained.failed += 1,
            Verdict::Cancelled(_) | Verdict::Stale => drained.cancelled += 1,
            Verdict::Snoozed(_) => drained.snoozed += 1,
            Verdict::Waiting(_) => drained.waiting += 1,
            Verdict::Released => (),
        }
    }

    fn drained(&self) -> Drained {
        *self.drained.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    /// Runs what there is to do, and what comes of it, and ends when nothing is left: no job of its kinds and queues may run now or runs,
    /// here or on another worker, and none waits for a free slot of its limit key or for children that have ended.
    ///
    /// What is to run at a time to come stays: delayed jobs, retries (of a lost race too), snoozes, workflows that sleep. So does what is
    /// held, by a pause or while its system is down, and what waits for an event or for jobs that this worker does not know. What a rate
    /// holds back is waited for, or stays where it was scheduled for that.
    ///
    /// After `limit` it begins nothing more, gives what runs the grace period of [`WorkerConfig`](crate::WorkerConfig) and what is to be
    /// recorded as much again, and fails: tests take a short one. So it does in the background when it is dropped.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use engine::{Client, Drained, Ending, Kinds, NewJob, PgPool, Worker, WorkerConfig};
    /// # use engine::{Job, JobResult, Outcome, Run};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct SendReceipt { order: i64 }
    /// # impl Job for SendReceipt {
    /// #     const KIND: &'static str = "shop.send_receipt";
    /// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
    /// # }
    ///
    /// # async fn example(pool: PgPool) -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::new(pool.clone());
    /// let id = client.enqueue(&NewJob::of(&SendReceipt { order: 7 })?).await?.id;
    /// let worker = Worker::new(pool, Kinds::new().with::<SendReceipt>(), WorkerConfig::default());
    /// let drained = worker.drain(Duration::from_secs(30)).await?;
    /// assert_eq!(drained, Drained { completed: 1, ..Drained::default() });
    /// assert!(matches!(client.ending(id).await?, Some(Ending::Completed(_))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`WorkerError::NotDrained`] when something is left after `limit`, or the database has not said that nothing is; otherwise as
    /// [`Worker::run`].
    pub async fn drain(self, limit: Duration) -> Result<Drained, WorkerError> {
        let drain = Arc::new(Drain::default());
        let _until_dropped = drain.over.clone().drop_guard();
        let program = self.program(Some(drain.clone()))?;
        let mut worker = tokio::spawn(live(program, drain.over.clone()));
        let ended = tokio::select! {
            ended = &mut worker => ended,
            () = tokio::time::sleep(limit) => {
                let is_late = !drain.over.is_cancelled();
                drain.over.cancel();
                let ended = worker.await;
                if is_late {
                    return end_of(ended).and(Err(WorkerError::NotDrained(limit)));
                }
                ended
            }
        };
        end_of(ended)?;
        Ok(drain.drained())
    }
}

/// How a worker ended; its panic goes on here.
fn end_of(worker: Result<Result<(), WorkerError>, JoinError>) -> Result<(), WorkerError> {
    worker.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

/// Ends a worker that drains when nothing is left for it; looks after no other.
pub(super) async fn run(session: Arc<Session>) {
    let Some(drain) = session.program.drain.clone() else { return };
    while !session.is_over() {
        let looking = async {
            let mut connection = session.connect().await?;
            look(&session, &drain, &mut connection).await
        };
        if let Err(error) = patience::unless_over(&session, looking).await {
            complaint::warn(session.worker_id, "looking for what is left stopped, connecting anew", &error);
            patience::pause(&session, Duration::from_millis(500)).await;
        }
    }
}

async fn look(session: &Session, drain: &Drain, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    while !session.is_over() {
        let begun = Instant::now();
        let looking = place::is_any_left(connection, &session.program.kind_names, &session.program.queues);
        // One may be parked for an event that has come.
        if !patience::answer(session, looking).await? && patience::answer(session, parked::wake_missed(connection, MISSED)).await? == 0 {
            drain.over.cancel();
        }
        patience::pause(session, LOOK.max(begun.elapsed() * SHARE)).await;
    }
    Ok(())
}
