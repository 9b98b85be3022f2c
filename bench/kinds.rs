//! The jobs that are measured.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use engine::{Category, Failure, Job, JobResult, Kinds, Outcome, Run, Tx};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Jobs and workflows that came to their end in this process.
pub static RAN: AtomicU64 = AtomicU64::new(0);

/// Hears when a [`Ping`] begins.
pub static PICKED_UP: Mutex<Option<mpsc::UnboundedSender<Instant>>> = Mutex::new(None);

/// The category of a failure that is tried again at once.
pub const AGAIN: &str = "bench_again";

/// Steps of a [`Steps`] workflow.
pub const STEPS: u32 = 10;

/// Every kind.
pub fn all() -> Kinds {
    Kinds::new().with::<NoOp>().with::<Millisecond>().with::<Third>().with::<Ping>().with::<Steps>()
}

fn done() -> Outcome {
    RAN.fetch_add(1, Ordering::Relaxed);
    Outcome::done()
}

/// Does nothing.
#[derive(Serialize, Deserialize)]
pub struct NoOp {
    /// Its number.
    pub n: usize,
}

impl Job for NoOp {
    const KIND: &'static str = "bench.no_op";

    async fn run(&self, _: &mut Run) -> JobResult {
        Ok(done())
    }
}

/// Takes a millisecond, waiting.
#[derive(Serialize, Deserialize)]
pub struct Millisecond {
    /// Its number.
    pub n: usize,
}

impl Job for Millisecond {
    const KIND: &'static str = "bench.millisecond";

    async fn run(&self, _: &mut Run) -> JobResult {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(done())
    }
}

/// Every second one fails at its first attempt, so that of all attempts every third fails.
#[derive(Serialize, Deserialize)]
pub struct Third {
    /// Its number.
    pub n: usize,
}

impl Job for Third {
    const KIND: &'static str = "bench.third";

    async fn run(&self, run: &mut Run) -> JobResult {
        if self.n.is_multiple_of(2) && run.attempt() == 1 {
            return Err(Failure::new(Category::Other(AGAIN), "the first attempt of every second job fails".to_string()));
        }
        Ok(done())
    }
}

/// Tells when it begins.
#[derive(Serialize, Deserialize)]
pub struct Ping;

impl Job for Ping {
    const KIND: &'static str = "bench.ping";

    async fn run(&self, _: &mut Run) -> JobResult {
        if let Some(sender) = PICKED_UP.lock().expect("no holder of this lock panics").as_ref() {
            // Whoever measured may have gone.
            let _ = sender.send(Instant::now());
        }
        Ok(done())
    }
}

/// A workflow of [`STEPS`] steps, each kept in a transaction of its own.
#[derive(Serialize, Deserialize)]
pub struct Steps {
    /// Its number.
    pub n: usize,
}

impl Job for Steps {
    const KIND: &'static str = "bench.steps";

    async fn run(&self, run: &mut Run) -> JobResult {
        for n in 0..STEPS {
            run.step(&format!("step {n}"), async |_: &mut Tx| Ok(n)).await?;
        }
        Ok(done())
    }
}
