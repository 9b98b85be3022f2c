//! I6: no job is tried more often than it may, and no job takes more than three workers with it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Finding;
use crate::{
    facts::{Attempt, Facts, Job},
    model::POLICY,
    program::Act,
};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I6", "attempts stay within their bounds");
    for (job, attempts) in &facts.attempts {
        let silent =
            attempts.iter().find(|attempt| matches!(attempt.outcome.as_str(), "failed" | "dead" | "lost") && attempt.error.is_none());
        finding.holds(silent.is_none(), || format!("job {job} failed without a word: {silent:?}"));
        if let Some(budgets) = budgets(facts, *job) {
            failures(facts, *job, attempts, budgets, &mut finding);
            deaths(*job, attempts, budgets, &mut finding);
        }
    }
    alone(facts, &mut finding);
    finding
}

/// How many budgets a job may have had: a workflow has a new one with each step that is kept. Of one that began anew what it kept
/// before is not there any more.
fn budgets(facts: &Facts, job: i64) -> Option<usize> {
    let program = facts.job(job).and_then(Job::key).and_then(|key| facts.programs.get(key));
    let began_anew = program.is_some_and(|program| program.acts.contains(&Act::Continue));
    (!began_anew).then(|| 1 + facts.steps.get(&job).map_or(0, |steps| *steps as usize))
}

/// Of each category a job fails as often as the policy says, or as its own cap: the next one, of whatever category, counts all.
fn failures(facts: &Facts, job: i64, attempts: &[Attempt], budgets: usize, finding: &mut Finding) {
    let mut failed: BTreeMap<&str, usize> = BTreeMap::new();
    for attempt in attempts.iter().filter(|attempt| matches!(attempt.outcome.as_str(), "failed" | "dead")) {
        *failed.entry(attempt.category.as_deref().unwrap_or("default")).or_default() += 1;
    }
    let program = facts.job(job).and_then(Job::key).and_then(|key| facts.programs.get(key));
    let cap = program.and_then(|program| program.max_attempts).map_or(usize::MAX, |cap| cap as usize);
    for (category, times) in failed {
        let of = |wanted: &str| POLICY.iter().find(|(name, ..)| *name == wanted).map(|(_, most, _)| *most as usize);
        let most = of(category).or_else(|| of("default")).unwrap_or(0).min(cap) * budgets;
        finding.holds(times <= most, || format!("job {job} failed {times} times as {category}, and may {most} times"));
    }
}

/// The third death of a worker that ran nothing else is the job's own, and no earlier one is.
fn deaths(job: i64, attempts: &[Attempt], budgets: usize, finding: &mut Finding) {
    let alone = attempts.iter().filter(|attempt| attempt.category.as_deref() == Some("poison"));
    let of = |outcome: &str| alone.clone().filter(|attempt| attempt.outcome == outcome).count();
    let (lost, dead) = (of("lost"), of("dead"));
    finding.holds(lost <= 2 * budgets, || format!("job {job} was alone with {lost} workers that died, and went on"));
    finding.holds(dead == 0 || lost >= 2, || format!("job {job} is called poison, and was alone with {lost} other workers that died"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkers::made::{add_job, attempt, program},
        program::Program,
    };

    /// How much is wrong with these attempts of a job, of which so many steps are kept: each has an outcome and a category.
    fn wrong(program: &Program, steps: i64, attempts: &[(&str, &str)]) -> usize {
        let mut facts = Facts::default();
        add_job(&mut facts, 1, program);
        facts.steps.insert(1, steps);
        let of = |(number, (outcome, category)): (i32, &(&str, &str))| Attempt {
            category: Some((*category).into()),
            // A worker of its own each time, so that none has another beside it.
            worker_id: Some(i64::from(number)),
            ..attempt(1, number, outcome)
        };
        facts.attempts.insert(1, (1..).zip(attempts).map(of).collect());
        check(&facts).violations.len()
    }

    #[test]
    fn failures_are_bound_by_their_own_category() {
        let (plain, capped) = (program("p"), Program { max_attempts: Some(1), ..program("p") });
        let twice = [("failed", "business_rule"), ("dead", "business_rule")];
        assert_eq!(wrong(&plain, 0, &twice), 0);
        assert_eq!(wrong(&capped, 0, &twice), 1, "its own cap is less");
        let thrice = [("failed", "business_rule"), ("failed", "business_rule"), ("dead", "business_rule")];
        assert_eq!(wrong(&plain, 0, &thrice), 1);
        assert_eq!(wrong(&plain, 1, &thrice), 0, "it got on once");
        assert_eq!(wrong(&plain, 0, &[("failed", "network"), ("failed", "business_rule"), ("failed", "upstream")]), 0);
        let anew = Program { acts: vec![Act::Continue], ..program("p") };
        assert_eq!(wrong(&anew, 0, &thrice), 0, "what it kept before it began anew is not known");
    }

    #[test]
    fn a_job_is_poison_from_the_third_death_on_and_not_before() {
        let died = |lost: usize, outcome| [vec![("lost", "poison"); lost], vec![(outcome, "poison")]].concat();
        assert_eq!(wrong(&program("p"), 0, &died(2, "dead")), 0);
        assert_eq!(wrong(&program("p"), 0, &died(1, "dead")), 1, "too early");
        assert_eq!(wrong(&program("p"), 0, &died(2, "lost")), 1, "too late");
        assert_eq!(wrong(&program("p"), 1, &died(3, "lost")), 0, "its steps renew its budget");
        assert_eq!(wrong(&program("p"), 0, &died(2, "cancelled")), 0, "somebody asked for that");
    }
}
