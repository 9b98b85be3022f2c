//! Replays failures against a draft of the policy.
//!
//! What is assumed: jobs would have failed in the same way at the same attempts. A success after the point where the
//! draft gives up is known, because it happened; what further tries would have brought is not, so they are counted and
//! no success is claimed for them. Waiting times are means, half of each delay, since of a delay a random part is waited;
//! what the other side asked for with Retry-After is not in the ledger and stays out. A retry that would come after the
//! job's deadline is not made: how much of its delay was drawn is guessed from what became of it at the time.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::PgPool;

use super::{
    Draft, PolicyError,
    history::{History, Row},
    known,
};
use crate::{
    JobId,
    store::retry_policy::{self, Failed, Policy},
};

/// The most jobs that are named as examples.
const EXAMPLES: usize = 10;
/// The most versions of the policy that are read.
const VERSIONS: i64 = 100_000;

/// What a draft would have changed for the jobs of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Effect {
    /// Jobs with failures that the draft would have decided.
    pub jobs: u64,
    /// Those failures.
    pub failures: u64,
    /// Jobs that died and would have had further tries.
    pub died_with_tries_left: u64,
    /// How many tries those would have had, if all failed.
    pub tries_added: u64,
    /// Jobs that completed later, and would have died before.
    pub successes_lost: u64,
    /// Jobs that died later, and would have died before.
    pub died_earlier: u64,
    /// Jobs that have not ended or were cancelled, and would have died before.
    pub unfinished_lost: u64,
    /// Failed attempts that would not have been made.
    pub tries_saved: u64,
    /// Seconds that jobs would have waited longer between attempts, on average.
    pub wait_added_s: f64,
    /// Seconds that they would have waited less, on average.
    pub wait_saved_s: f64,
    /// Jobs whose failures an override decides, so that the draft changes nothing for them.
    pub overridden: u64,
    /// Some of the jobs that completed and would have died.
    pub lost_jobs: Vec<JobId>,
}

/// What a draft would have changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The days that were replayed.
    pub days: f64,
    /// The row that decides today.
    pub today: Policy,
    /// The draft, as a row.
    pub draft: Policy,
    /// What it changes, kind by kind.
    pub kinds: BTreeMap<String, Effect>,
    /// The same for all kinds together.
    pub total: Effect,
}

/// Replays the failures of the last days against a draft for a category, or for a kind and category. Changes nothing.
///
/// # Errors
/// [`PolicyError::NoCategory`], [`PolicyError::Refused`]; otherwise the database's.
pub async fn simulate(pool: &PgPool, category: &str, kind: Option<&str>, days: f64, draft: &Draft) -> Result<Report, PolicyError> {
    known(pool, category).await?;
    let history = History::new(retry_policy::history(pool, None, None, VERSIONS).await?);
    let today = retry_policy::deciding(&mut *pool.acquire().await?, category, kind).await?;
    let draft = draft.over(&today, category, kind);
    if let Some(fault) = retry_policy::fault(pool, &draft).await? {
        return Err(PolicyError::Refused(format!("the draft is refused: {fault}")));
    }
    let mut replay = Replay { draft: &draft, history: &history, kinds: BTreeMap::new(), job: Vec::new() };
    retry_policy::failures(pool, category, kind, days, |failed| replay.take(failed)).await?;
    let kinds = replay.finish();
    let mut total = Effect::default();
    for effect in kinds.values() {
        total.add(effect);
    }
    Ok(Report { days, today, draft, kinds, total })
}

struct Replay<'a> {
    draft: &'a Policy,
    history: &'a History,
    kinds: BTreeMap<String, Effect>,
    /// The failures of one job so far.
    job: Vec<Failed>,
}

impl Replay<'_> {
    fn take(&mut self, failed: Failed) {
        if self.job.last().is_some_and(|last| last.job_id != failed.job_id) {
            self.end_job();
        }
        self.job.push(failed);
    }

    fn finish(mut self) -> BTreeMap<String, Effect> {
        self.end_job();
        self.kinds
    }

    fn end_job(&mut self) {
        let job = std::mem::take(&mut self.job);
        let Some(first) = job.first() else { return };
        let effect = self.effect_on(&job);
        self.kinds.entry(first.kind.clone()).or_default().add(&effect);
    }

    /// What the draft would have changed for one job, given its failures in order.
    fn effect_on(&self, job: &[Failed]) -> Effect {
        let mut effect = Effect::default();
        let decided = |failed: &Failed| failed.concerned && (self.draft.kind.is_some() || !failed.overridden);
        if !job.iter().any(decided) {
            effect.overridden = 1;
            return effect;
        }
        effect.jobs = 1;
        effect.failures = job.iter().filter(|failed| decided(failed)).count() as u64;
        for (place, failed) in job.iter().enumerate().filter(|(_, failed)| decided(failed)) {
            let limit = i64::from(self.draft.max_attempts).min(failed.cap.map_or(i64::MAX, i64::from));
            match (failed.died, failed.used < limit && !self.is_late(failed)) {
                (true, true) => effect.goes_on(self.draft, failed, limit),
                (false, true) => effect.waits(mean(&self.draft.backoff_seconds, failed.used) - self.waited(failed)),
                (false, false) => {
                    let saved = job[place..].iter().filter(|failed| !failed.died).map(|failed| self.waited(failed)).sum();
                    effect.dies(failed, (job.len() - place - 1) as u64, saved);
                    return effect;
                }
                (true, false) => {}
            }
        }
        effect
    }

    /// The mean of what a failure waited by the policy of its time.
    fn waited(&self, failed: &Failed) -> f64 {
        self.decided(failed).map_or(0.0, |row| mean(&row.backoff_seconds, failed.used))
    }

    /// The row that decided about it.
    fn decided(&self, failed: &Failed) -> Option<&Row> {
        self.history.decided(&failed.category, &failed.kind, failed.finished_at)
    }

    /// Whether the draft's next try would come after the deadline of the job.
    fn is_late(&self, failed: &Failed) -> bool {
        let (Some(left), Some(row)) = (failed.left_s, self.decided(failed)) else { return false };
        let limit = i64::from(row.max_attempts).min(failed.cap.map_or(i64::MAX, i64::from));
        let delay = 2.0 * mean(&row.backoff_seconds, failed.used);
        // The part of that delay that would have come in time.
        let in_time = if delay > left { left.max(0.0) / delay } else { 1.0 };
        let drawn = match (failed.died, failed.used < limit) {
            // It died of its deadline although its own delay fitted: the other side asked for a longer one.
            (true, true) if delay <= left => return true,
            (true, true) => f64::midpoint(in_time, 1.0),
            (true, false) => 0.5,
            (false, _) => in_time / 2.0,
        };
        drawn * 2.0 * mean(&self.draft.backoff_seconds, failed.used) > left
    }
}

impl Effect {
    /// A job that died goes on: how often it would have been tried again before its deadline, and how long it would have
    /// waited for that.
    fn goes_on(&mut self, draft: &Policy, failed: &Failed, limit: i64) {
        self.died_with_tries_left += 1;
        let mut waited = 0.0;
        for used in failed.used..limit {
            let then = waited + mean(&draft.backoff_seconds, used);
            if failed.left_s.is_some_and(|left| then > left) {
                break;
            }
            waited = then;
            self.tries_added += 1;
        }
        self.wait_added_s += waited;
    }

    fn waits(&mut self, longer: f64) {
        self.wait_added_s += longer.max(0.0);
        self.wait_saved_s += (-longer).max(0.0);
    }

    /// A job that went on dies of this failure: what became of it, and the tries and waits that would not have been.
    fn dies(&mut self, failed: &Failed, tries: u64, waited: f64) {
        match failed.ended.as_deref() {
            Some("completed") => {
                self.successes_lost += 1;
                self.lost_jobs.push(failed.job_id);
            }
            Some("dead") => self.died_earlier += 1,
            _ => self.unfinished_lost += 1,
        }
        self.tries_saved += tries;
        self.wait_saved_s += waited;
    }

    fn add(&mut self, other: &Self) {
        self.jobs += other.jobs;
        self.failures += other.failures;
        self.died_with_tries_left += other.died_with_tries_left;
        self.tries_added += other.tries_added;
        self.successes_lost += other.successes_lost;
        self.died_earlier += other.died_earlier;
        self.unfinished_lost += other.unfinished_lost;
        self.tries_saved += other.tries_saved;
        self.wait_added_s += other.wait_added_s;
        self.wait_saved_s += other.wait_saved_s;
        self.overridden += other.overridden;
        self.lost_jobs.extend(other.lost_jobs.iter().take(EXAMPLES.saturating_sub(self.lost_jobs.len())));
    }
}

/// The mean wait after so many failures: half of the delay; the last delay repeats.
fn mean(backoff_seconds: &[i32], used: i64) -> f64 {
    let place = (used.max(1) as usize - 1).min(backoff_seconds.len().saturating_sub(1));
    backoff_seconds.get(place).map_or(0.0, |delay| f64::from(*delay) / 2.0)
}
