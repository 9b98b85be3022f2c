//! The way of results to the recorder. So many of them may wait there, and so many bytes of outputs, before handlers wait too.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::{
    JobId,
    store::attempt::{Ended, Verdict, storable_output},
};

/// How many results may wait.
const RESULTS: usize = 8192;
/// How many bytes of outputs.
const BYTES: usize = 64 << 20;
/// Outputs below it are not counted.
const SMALL: usize = 16 << 10;

/// Where results are sent to.
pub(super) struct Results {
    sender: mpsc::Sender<Sent>,
    room: Arc<Semaphore>,
}

/// A result on its way, with the room that its output takes.
struct Sent {
    ended: Ended,
    #[expect(dead_code, reason = "it is given back when this is dropped")]
    room: Option<OwnedSemaphorePermit>,
}

/// Where they come from.
pub(super) struct Source {
    receiver: mpsc::Receiver<Sent>,
    sent: Vec<Sent>,
}

pub(super) fn channel() -> (Results, Source) {
    let (sender, receiver) = mpsc::channel(RESULTS);
    (Results { sender, room: Arc::new(Semaphore::new(BYTES)) }, Source { receiver, sent: Vec::new() })
}

impl Results {
    /// Sends how an attempt ended, with an output that the ledger takes.
    pub(super) async fn send(&self, mut ended: Ended) {
        let room = match &mut ended.verdict {
            Verdict::Completed(output) => self.storable(ended.job_id, output).await,
            _ => None,
        };
        // The recorder ends only after every job has, or when the worker is dead and nothing may be written.
        let _ = self.sender.send(Sent { ended, room }).await;
    }

    /// Marks the end of the results: nothing comes after it.
    pub(super) async fn close(&self) {
        let last = Ended {
            claim_id: -1,
            lane_id: 0,
            job_id: JobId(-1),
            attempt: -1,
            run_us: 0,
            unique_key: false,
            has_parent: false,
            limited: false,
            permitted: false,
            in_run: false,
            taken_to: 0,
            verdict: Verdict::Settled,
        };
        self.send(last).await;
    }

    async fn storable(&self, job_id: JobId, output: &mut serde_json::Value) -> Option<OwnedSemaphorePermit> {
        let (storable, bytes) = storable_output(job_id, std::mem::take(output));
        *output = storable;
        if bytes < SMALL {
            return None;
        }
        self.room.clone().acquire_many_owned(bytes as u32).await.ok()
    }
}

impl Source {
    /// Fills a batch with what has come, at most so many, and waits for the first; true when the last has come.
    pub(super) async fn gather(&mut self, batch: &mut Vec<Ended>, most: usize) -> bool {
        let received = self.receiver.recv_many(&mut self.sent, most).await;
        batch.extend(self.sent.drain(..).map(|sent| sent.ended));
        let is_over = received == 0 || batch.iter().any(|ended| ended.claim_id == -1);
        batch.retain(|ended| ended.claim_id != -1);
        is_over
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::claim::Claimed;

    #[tokio::test]
    async fn who_sends_more_bytes_than_there_is_room_for_waits_until_some_are_gathered() {
        let (results, mut source) = channel();
        let large = || Claimed::default().ended(0, Verdict::Completed("x".repeat((1 << 20) - 2).into()));
        for _ in 0..64 {
            results.send(large()).await;
        }
        let mut batch = Vec::new();
        assert!(tokio::time::timeout(Duration::from_millis(50), results.send(large())).await.is_err(), "there is no room");
        assert!(!source.gather(&mut batch, 10).await);
        assert_eq!(batch.len(), 10);
        results.send(large()).await;
        results.send(Claimed::default().ended(0, Verdict::Completed(serde_json::Value::Null))).await;
        results.close().await;
        assert!(source.gather(&mut batch, 100).await, "that was the last");
        assert_eq!(batch.len(), 10 + 54 + 2);
    }
}
