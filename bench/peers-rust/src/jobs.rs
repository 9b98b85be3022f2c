//! What all jobs do: they are counted, and a ping tells when it begins.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::sync::mpsc;

/// Steps of a workflow.
pub const STEPS: usize = 10;

/// Jobs, or steps of workflows, that ran in this process.
pub static RAN: AtomicU64 = AtomicU64::new(0);

/// Hears when a ping begins.
pub static PICKED_UP: Mutex<Option<mpsc::UnboundedSender<Instant>>> = Mutex::new(None);

/// Counts a job, or a step of a workflow.
pub fn count() {
    RAN.fetch_add(1, Ordering::Relaxed);
}

/// Tells that a ping has begun.
pub fn picked_up() {
    if let Some(sender) = PICKED_UP.lock().expect("no holder of this lock panics").as_ref() {
        // Whoever measured may have gone.
        let _ = sender.send(Instant::now());
    }
}
