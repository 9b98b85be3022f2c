//! Handlers that take many jobs in one call: one request to a vendor for fifty addresses, one COPY for a thousand rows.
//!
//! Each job keeps its own attempt, outcome and retries. The jobs that are gathered are those that this worker runs at
//! the same time, so a kind's batch is never larger than the worker's concurrency.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::sync::{Notify, oneshot};

use crate::{Failure, Job, JobResult, Run, worker::panic_trace};

/// A kind whose jobs may be worked on in one call. Registered with [`crate::Kinds::with_together`]; its [`Job::run`] is what happens
/// where it is registered with [`crate::Kinds::with`].
///
/// ```
/// use engine::{Job, JobResult, Kinds, Outcome, Run, Together};
///
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct CheckAddress { address: String }
/// # impl Job for CheckAddress {
/// #     const KIND: &'static str = "addresses.check";
/// #     async fn run(&self, _: &mut Run) -> JobResult { Ok(Outcome::done()) }
/// # }
/// impl Together for CheckAddress {
///     const AT_MOST: usize = 50;
///
///     async fn run_together(jobs: &mut [(Self, Run)]) -> Vec<JobResult> {
///         let addresses: Vec<String> = jobs.iter().map(|(job, _)| job.address.clone()).collect();
///         match ask_vendor(addresses).await {
///             Ok(known) => known.into_iter().map(|known| Ok(Outcome::Done(known.into()))).collect(),
///             Err(failure) => jobs.iter().map(|_| Err(failure.clone())).collect(),
///         }
///     }
/// }
///
/// let kinds = Kinds::new().with_together::<CheckAddress>();
/// # async fn ask_vendor(addresses: Vec<String>) -> JobResult<Vec<bool>> { Ok(vec![true; addresses.len()]) }
/// ```
pub trait Together: Job {
    /// The most jobs of one call.
    const AT_MOST: usize;
    /// How long the first job of a call waits for others.
    const LINGER: Duration = Duration::from_millis(20);

    /// Works on all of them; the answer has one entry a job, in order. A panic, or another number of answers, is a
    /// failure of category `bug` of each. A job that is cancelled or times out while the call runs is still in it: its
    /// own fenced writes are refused, but for a commit that is under way, which its end waits for.
    fn run_together(jobs: &mut [(Self, Run)]) -> impl Future<Output = Vec<JobResult>> + Send;
}

/// Gathers the jobs of one kind in this worker.
pub(crate) struct Gatherer<J> {
    open: Mutex<Option<Open<J>>>,
}

/// A call that still takes jobs.
struct Open<J> {
    jobs: Vec<(J, Run)>,
    answers: Vec<oneshot::Sender<JobResult>>,
    full: Arc<Notify>,
}

impl<J: Together> Gatherer<J> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { open: Mutex::new(None) })
    }

    /// Puts a job into the call that is open, or opens one; returns what became of the job.
    pub(crate) async fn run(self: Arc<Self>, job: J, run: Run) -> JobResult {
        let answer = self.join(job, run);
        answer.await.unwrap_or_else(|_| Err(Failure::bug("the call that this job was gathered into ended without an answer")))
    }

    fn join(self: &Arc<Self>, job: J, run: Run) -> oneshot::Receiver<JobResult> {
        let (sender, answer) = oneshot::channel();
        let mut slot = self.open.lock().expect("no holder of this lock panics");
        let opened = slot.is_none();
        let open = slot.get_or_insert_with(|| Open { jobs: Vec::new(), answers: Vec::new(), full: Arc::default() });
        open.jobs.push((job, run));
        open.answers.push(sender);
        if opened {
            tokio::spawn(self.clone().call(open.full.clone()));
        }
        if open.jobs.len() >= J::AT_MOST {
            // Whoever comes next opens another call.
            open.full.notify_one();
            let full = slot.take().expect("filled above");
            tokio::spawn(answer_all(full));
        }
        answer
    }

    /// Closes the call after its time, unless it was full before.
    async fn call(self: Arc<Self>, full: Arc<Notify>) {
        if tokio::time::timeout(J::LINGER, full.notified()).await.is_ok() {
            return;
        }
        let mine = {
            let mut slot = self.open.lock().expect("no holder of this lock panics");
            slot.take_if(|open| Arc::ptr_eq(&open.full, &full))
        };
        if let Some(open) = mine {
            answer_all(open).await;
        }
    }
}

async fn answer_all<J: Together>(open: Open<J>) {
    let Open { mut jobs, mut answers, .. } = open;
    let count = jobs.len();
    let nobody_waits = join_all(answers.iter_mut().map(oneshot::Sender::closed));
    let ended = tokio::select! {
        ended = panic_trace::catch(J::run_together(&mut jobs)) => ended,
        _ = nobody_waits => return,
    };
    let results = match ended {
        Ok(results) if results.len() == count => results,
        Ok(results) => bug(count, &format!("{} gave {} answers for {count} jobs", J::KIND, results.len())),
        Err(panic) => bug(count, &format!("the handler panicked: {panic}")),
    };
    for (answer, result) in answers.into_iter().zip(results) {
        // Whoever was cancelled meanwhile does not listen.
        let _ = answer.send(result);
    }
}

fn bug(count: usize, message: &str) -> Vec<JobResult> {
    (0..count).map(|_| Err(Failure::bug(message))).collect()
}
