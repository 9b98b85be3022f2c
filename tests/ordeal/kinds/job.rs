//! The job of a program.

use std::time::Duration;

use engine::NewJob;

use super::{Play, PlayApart, PlayCalling, PlayTogether};
use crate::program::{DEBOUNCE_MS, Manner, Played, Program};

impl Program {
    /// The job that plays it.
    ///
    /// # Panics
    /// Never: programs serialise.
    pub fn job(&self) -> NewJob {
        let play = Play { key: self.key.clone(), acts: self.acts.clone(), chaff: self.chaff.clone(), from: 0, batch: None };
        let job = match self.played {
            Played::Alone => NewJob::of(&play),
            Played::Together => NewJob::of(&PlayTogether(play)),
            Played::Apart => NewJob::of(&PlayApart(play)),
            Played::Calling => NewJob::of(&PlayCalling(play)),
        };
        let mut job = job.expect("programs serialise").priority(self.priority);
        if let Some(key) = &self.unique {
            job = job.unique_key(key);
        }
        job = match self.manner {
            Manner::Yields => job,
            Manner::Replaces => job.replace(),
            Manner::Debounces => job.debounce(Duration::from_millis(DEBOUNCE_MS.0), Duration::from_millis(DEBOUNCE_MS.1)),
        };
        if let Some(key) = &self.limit {
            job = job.limit_key(key);
        }
        if let Some(cap) = self.max_attempts {
            job = job.max_attempts(cap);
        }
        if let Some(ms) = self.deadline_ms {
            job = job.deadline(chrono::Utc::now() + Duration::from_millis(ms));
        }
        if self.delay_ms > 0 {
            job = job.run_at(chrono::Utc::now() + Duration::from_millis(self.delay_ms));
        }
        job
    }
}
