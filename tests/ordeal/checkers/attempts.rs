//! I6: no job is tried more often than it may, and no job takes more than three workers with it.

use std::collections::{HashMap, HashSet};

use super::Finding;
use crate::{
    facts::{Attempt, Facts},
    model::POLICY,
};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I6", "attempts stay within their bounds");
    for (job, attempts) in &facts.attempts {
        let of = |category: &str| attempts.iter().filter(|attempt| attempt.category.as_deref() == Some(category)).count();
        let alone = of("poison");
        finding.holds(alone <= 3, || format!("job {job} was alone with {alone} workers that died"));
        let failed = attempts.iter().filter(|attempt| matches!(attempt.outcome.as_str(), "failed" | "dead")).count();
        let most = POLICY.iter().map(|(_, most, _)| *most as usize).max().unwrap_or(0);
        finding.holds(failed <= most, || format!("job {job} failed {failed} times"));
        let silent =
            attempts.iter().find(|attempt| matches!(attempt.outcome.as_str(), "failed" | "dead" | "lost") && attempt.error.is_none());
        finding.holds(silent.is_none(), || format!("job {job} failed without a word: {silent:?}"));
    }
    alone(facts, &mut finding);
    finding
}

/// What a job is blamed for happened while its worker ran nothing beside it.
fn alone(facts: &Facts, finding: &mut Finding) {
    let begun: HashSet<(i64, i32)> = facts.words.iter().map(|word| (word.job, word.attempt)).collect();
    let mut of_worker: HashMap<i64, Vec<&Attempt>> = HashMap::new();
    for attempt in facts.attempts.values().flatten() {
        // Of a claim whose answer got lost the worker knew nothing, until it gave it back.
        let known = !matches!(attempt.outcome.as_str(), "lost" | "released") || begun.contains(&(attempt.job_id, attempt.attempt));
        if let Some(worker) = attempt.worker_id.filter(|_| known) {
            of_worker.entry(worker).or_default().push(attempt);
        }
    }
    for blamed in facts.attempts.values().flatten().filter(|attempt| attempt.category.as_deref() == Some("poison")) {
        let held = blamed.worker_id.and_then(|worker| of_worker.get(&worker)).into_iter().flatten();
        let mut beside = held.filter(|other| {
            let itself = (other.job_id, other.attempt) == (blamed.job_id, blamed.attempt);
            !itself && other.started_at < blamed.finished_at && other.finished_at > blamed.started_at
        });
        let other = beside.next();
        finding.holds(other.is_none(), || {
            format!(
                "job {} is blamed for the death of its worker, which ran job {:?} beside it",
                blamed.job_id,
                other.map(|other| other.job_id)
            )
        });
    }
}
