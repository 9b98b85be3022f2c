//! What a worker may be told.

use std::time::Duration;

use super::WorkerError;

/// What a worker may be told. The defaults suit a worker of small jobs.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// How people recognise it: host and process, say.
    pub name: String,
    /// The queues it serves; empty: those of its kinds, and `default`.
    pub queues: Vec<String>,
    /// How many jobs run at once.
    pub concurrency: usize,
    /// The most jobs one claim takes.
    pub batch: usize,
    /// How long the lease lasts. It is renewed four times in that time; a rescue waits until it has run out
    /// while workers looked at it.
    pub lease: Duration,
    /// The longest an idle worker sleeps while it can be notified.
    pub poll_interval: Duration,
    /// The longest an idle worker sleeps while it cannot.
    pub poll_interval_deaf: Duration,
    /// How long a shutdown waits for running jobs.
    pub grace: Duration,
    /// How long handlers may block every thread of the runtime before the worker gives up its lease, so that others
    /// run what it holds.
    pub stall_limit: Duration,
    /// How long a lane that claims do not get to, for jobs that are more urgent, waits until it counts as one priority more
    /// urgent. Its first job is looked at after (priority + 1) times this, whatever comes before it. Zero: never.
    pub ageing: Duration,
    /// How long quick jobs of one limit key may follow each other on one slot, which costs less than a slot for each. Others of
    /// the key could have used the time elsewhere. Zero: none follows another.
    pub run_time: Duration,
    /// Whether to LISTEN. Not through a pooler in transaction mode.
    pub listen: bool,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            name: format!("pid {}", std::process::id()),
            queues: Vec::new(),
            concurrency: 16,
            batch: 500,
            lease: Duration::from_secs(2),
            poll_interval: Duration::from_millis(250),
            poll_interval_deaf: Duration::from_millis(25),
            grace: Duration::from_secs(20),
            stall_limit: Duration::from_secs(30),
            ageing: Duration::from_secs(10),
            run_time: Duration::from_millis(5),
            listen: true,
        }
    }
}

impl WorkerConfig {
    /// Refuses nonsense.
    ///
    /// ```
    /// use engine::WorkerConfig;
    ///
    /// assert!(WorkerConfig::default().validate().is_ok());
    /// let idle = WorkerConfig { concurrency: 0, ..WorkerConfig::default() };
    /// let refused = idle.validate().expect_err("it would run nothing");
    /// assert_eq!(refused.to_string(), "a worker's concurrency is a number from 1 to 100000");
    /// ```
    ///
    /// # Errors
    /// One sentence that names the setting and what it may be.
    pub fn validate(&self) -> Result<(), WorkerError> {
        let refuse = |what: &str| Err(WorkerError::Config(what.to_string()));
        if self.concurrency == 0 || self.concurrency > 100_000 {
            return refuse("a worker's concurrency is a number from 1 to 100000");
        }
        if self.batch == 0 || self.batch > 10_000 {
            return refuse("a worker's batch is a number from 1 to 10000");
        }
        if self.lease < Duration::from_millis(200) {
            return refuse("a worker's lease is 200 ms or longer");
        }
        if self.lease > Duration::from_hours(24) {
            return refuse("a worker's lease is a day at most");
        }
        if self.stall_limit < Duration::from_secs(1) {
            return refuse("a worker's stall limit is 1 s or longer");
        }
        let polls = Duration::from_millis(1)..=Duration::from_hours(1);
        if !polls.contains(&self.poll_interval) || !polls.contains(&self.poll_interval_deaf) {
            return refuse("a worker's poll intervals are from 1 ms to 1 h");
        }
        if self.queues.iter().any(String::is_empty) {
            return refuse("a worker's queues have names: no jobs are in one without");
        }
        if self.run_time > Duration::from_secs(10) {
            return refuse("a worker's run time is 10 s at most");
        }
        Ok(())
    }

    pub(crate) const fn lease_ms(&self) -> i64 {
        self.lease.as_millis() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_would_claim_without_rest_or_to_no_end_is_refused() {
        let of = WorkerConfig::default;
        for (config, words) in [
            (WorkerConfig { poll_interval: Duration::ZERO, ..of() }, "poll intervals"),
            (WorkerConfig { poll_interval_deaf: Duration::from_nanos(1), ..of() }, "poll intervals"),
            (WorkerConfig { poll_interval: Duration::MAX, ..of() }, "poll intervals"),
            (WorkerConfig { queues: "".split(',').map(String::from).collect(), ..of() }, "queues"),
            (WorkerConfig { lease: Duration::ZERO, ..of() }, "lease"),
            (WorkerConfig { batch: 0, ..of() }, "batch"),
            (WorkerConfig { stall_limit: Duration::ZERO, ..of() }, "stall limit"),
        ] {
            let refused = config.validate().expect_err(words).to_string();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
