//! I4: whoever writes of an attempt holds it. Two workers never run one attempt, and nobody writes for an attempt that
//! ended before: the writes of zombies are refused.

use std::collections::HashMap;

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

/// Jobs are taken only from a worker that was declared dead, and it claims none afterwards.
fn verdicts(facts: &Facts, finding: &mut Finding) {
    let workers: HashMap<i64, &Worker> = facts.workers.iter().map(|worker| (worker.id, worker)).collect();
    for lost in facts.attempts.values().flatten().filter(|attempt| attempt.outcome == "lost") {
        let Some(worker) = lost.worker_id.and_then(|id| workers.get(&id)) else { continue };
        let (job, number) = (lost.job_id, lost.attempt);
        finding.holds(worker.dead_at.is_some_and(|dead_at| dead_at <= lost.finished_at), || {
            format!("attempt {number} of job {job} was taken from worker {}, which was not declared dead then", worker.id)
        });
        finding.holds(worker.dead_at.is_none_or(|dead_at| lost.started_at <= dead_at), || {
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
