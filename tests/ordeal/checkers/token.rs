//! I4: whoever writes of an attempt holds it. Two workers never run one attempt, and nobody writes for an attempt that
//! ended before: the writes of zombies are refused.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::Finding;
use crate::{
    facts::{Facts, Worker},
    witness::What,
};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I4", "every write comes from the holder of the attempt");
    let mut runners: HashMap<(i64, i32), i64> = HashMap::new();
    for word in facts.words.iter().filter(|word| matches!(word.what, What::Started(_))) {
        let first = *runners.entry((word.job, word.attempt)).or_insert(word.worker);
        finding.holds(first == word.worker, || {
            format!("attempt {} of job {} was begun by worker {first} and by worker {}", word.attempt, word.job, word.worker)
        });
    }
    for attempt in
        facts.attempts.values().flatten().filter(|attempt| matches!(attempt.outcome.as_str(), "completed" | "failed" | "snoozed"))
    {
        let Some(runner) = runners.get(&(attempt.job_id, attempt.attempt)) else { continue };
        finding.holds(attempt.worker_id == Some(*runner), || {
            format!(
                "attempt {} of job {} ran on worker {runner} and was recorded by {:?}",
                attempt.attempt, attempt.job_id, attempt.worker_id
            )
        });
    }
    effects(facts, &mut finding);
    verdicts(facts, &mut finding);
    finding
}

/// A verdict is seen when it is committed, a little after the moment that it bears; where a standby is away, as late as that.
const COMMIT: TimeDelta = TimeDelta::seconds(1);
const COMMIT_OF_STRUCK: TimeDelta = TimeDelta::seconds(10);
/// For so long a claim may go on that did not see it yet, before it is written down.
const CLAIM: TimeDelta = TimeDelta::milliseconds(100);

/// Jobs are taken only from a worker that was declared dead, and it claims none afterwards: none when a first one was taken from it,
/// which shows that the verdict was there.
fn verdicts(facts: &Facts, finding: &mut Finding) {
    let workers: HashMap<i64, &Worker> = facts.workers.iter().map(|worker| (worker.id, worker)).collect();
    let mut seen: HashMap<i64, DateTime<Utc>> = HashMap::new();
    for worker in workers.values() {
        let Some(dead_at) = worker.dead_at else { continue };
        let at_us = facts.by_the_clock_of_all(dead_at).unwrap_or_default();
        let longest = if facts.was_away(at_us - 1, at_us + 1) { COMMIT_OF_STRUCK } else { COMMIT };
        seen.insert(worker.id, dead_at + longest);
    }
    for lost in facts.attempts.values().flatten().filter(|attempt| attempt.outcome == "lost") {
        if let Some(seen) = lost.worker_id.and_then(|id| seen.get_mut(&id)) {
            *seen = (lost.finished_at + CLAIM).min(*seen);
        }
    }
    for lost in facts.attempts.values().flatten().filter(|attempt| attempt.outcome == "lost") {
        let Some(worker) = lost.worker_id.and_then(|id| workers.get(&id)) else { continue };
        let (job, number) = (lost.job_id, lost.attempt);
        finding.holds(worker.dead_at.is_some_and(|dead_at| dead_at <= lost.finished_at), || {
            format!("attempt {number} of job {job} was taken from worker {}, which was not declared dead then", worker.id)
        });
        finding.holds(seen.get(&worker.id).is_none_or(|seen| lost.started_at <= *seen), || {
            format!("attempt {number} of job {job} was claimed by worker {} after it was declared dead", worker.id)
        });
    }
}

/// A row was written while its attempt was still open.
fn effects(facts: &Facts, finding: &mut Finding) {
    for effect in facts.effects.values().flatten() {
        let attempt = facts.attempts_of(effect.job_id).iter().find(|attempt| attempt.attempt == effect.attempt);
        let in_time = attempt.is_none_or(|attempt| effect.at <= attempt.finished_at || (effect.last && attempt.outcome == "completed"));
        finding.holds(in_time, || {
            format!("attempt {} of job {} wrote at {} and had ended before, {attempt:?}", effect.attempt, effect.job_id, effect.at)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkers::made::{attempt, life, wall},
        facts::Attempt,
    };

    /// How many findings there are when a worker was declared dead at 10 s and lost these attempts, which began and were taken so.
    fn wrong(lost: &[(i64, i64)]) -> usize {
        let workers = vec![Worker { id: 1, pid: Some(1), dead_at: Some(wall(10_000)), lease_until: wall(9_900) }];
        let mut facts = Facts { workers, lives: vec![life(0, 1, "started")], ..Facts::default() };
        for (job, (began, ended)) in (1..).zip(lost) {
            let taken = Attempt { started_at: wall(*began), finished_at: wall(*ended), ..attempt(job, 1, "lost") };
            facts.attempts.insert(job, vec![taken]);
        }
        let mut finding = Finding::new("I4", "");
        verdicts(&facts, &mut finding);
        finding.violations.len()
    }

    #[test]
    fn a_worker_claims_nothing_when_its_verdict_can_be_seen() {
        assert_eq!(wrong(&[(9_000, 10_100)]), 0);
        assert_eq!(wrong(&[(10_001, 10_050)]), 0, "the verdict was not committed yet");
        assert_eq!(wrong(&[(9_000, 10_100), (10_201, 10_300)]), 1, "it was: something had been taken already");
        assert_eq!(wrong(&[(11_001, 11_500)]), 1, "no commit takes so long");
        assert_eq!(wrong(&[(9_000, 9_999)]), 1, "taken without a verdict");
    }
}
