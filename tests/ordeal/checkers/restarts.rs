//! Workflows run again as operators were told: one job for each answer, and at most one for each that was lost. What it does is the
//! business of other checkers.

use std::collections::{HashMap, HashSet};

use super::Finding;
use crate::{
    facts::{Facts, Restart},
    ledger::{Act, Answer, Deed},
};

/// The job of a workflow, and a step of it.
type Place = (i64, i32);

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("restarts", "a workflow runs again from a step as often as an operator asked for it");
    let mut made: HashMap<Place, Vec<i64>> = HashMap::new();
    for restart in facts.restarts.values() {
        made.entry((restart.restarted_from, restart.from_step)).or_default().push(restart.job_id);
        finding.holds(is_whole(facts, restart), || format!("{restart:?} is too early, or has not what was done before its step"));
    }
    let mut asked: HashMap<Place, Vec<&Act>> = HashMap::new();
    for act in &facts.acts {
        if let Deed::Restart(job, from) = act.what {
            asked.entry((job, from)).or_default().push(act);
        }
    }
    for (place, acts) in asked {
        judge(facts, place, &made.remove(&place).unwrap_or_default(), &acts, &mut finding);
    }
    let words =
        |((job, from), jobs): (Place, Vec<i64>)| format!("job {job} runs again from step {from} as {jobs:?}, which nobody asked for");
    finding.violations.extend(made.into_iter().map(words));
    finding
}

/// Whether a restart came after the end of its workflow, and has what was done before its step.
fn is_whole(facts: &Facts, restart: &Restart) -> bool {
    let ended = facts.end_of(restart.restarted_from).map(|end| end.finished_at);
    let came_after = ended.zip(facts.job(restart.job_id)).is_some_and(|(ended, job)| ended <= job.created_at);
    came_after && restart.taken_over == i64::from(restart.from_step) - 1 && restart.restarted_by == "robot"
}

fn judge(facts: &Facts, (job, from): Place, made: &[i64], acts: &[&Act], finding: &mut Finding) {
    let (intents, answers): (Vec<&Act>, Vec<&Act>) = acts.iter().copied().partition(|act| act.answer.is_none());
    let told = answers.iter().filter_map(|act| if let Some(Answer::Made(job)) = act.answer { Some(job) } else { None });
    let told: HashSet<i64> = told.collect();
    let refused: Vec<&Act> = answers.iter().copied().filter(|act| !matches!(act.answer, Some(Answer::Made(_)))).collect();
    let may = intents.len().saturating_sub(refused.len());
    let at_least = answers.len() - refused.len();
    let is_so = told.len() == at_least && told.iter().all(|job| made.contains(job)) && made.len() <= may;
    finding.holds(is_so, || {
        let asked = intents.len();
        format!("job {job} runs again from step {from} as {made:?}; of {asked} times that this was asked for {told:?} were told of")
    });
    for act in refused {
        finding.holds(is_held(facts, job, act) == Some(true), || {
            format!("job {job} had ended, and an operator who asked for it from step {from} was told {:?}", act.answer)
        });
    }
}

/// Whether a refusal names a job that had the unique key of the workflow then.
fn is_held(facts: &Facts, job: i64, act: &Act) -> Option<bool> {
    let (holder, _) = act.words().strip_prefix("job ")?.split_once(" holds the unique key ")?;
    let (old, holder) = (facts.job(job)?, facts.job(holder.parse().ok()?)?);
    let key = old.unique_key.as_deref()?;
    Some(holder.id != old.id && facts.had_key(holder, &old.kind, key, act.asked_us, act.answered_us?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkers::made::{add_job, attempt, life, program, wall},
        facts::Attempt,
        program::Program,
    };

    /// How many findings there are when job 1 ended and runs again from its second step as these jobs, and this was asked for with these
    /// answers.
    fn wrong(jobs: &[i64], answers: &[Option<Answer>]) -> usize {
        let mut facts = Facts { lives: vec![life(0, 1, "started")], ..Facts::default() };
        for id in 1..=3 {
            add_job(&mut facts, id, &Program { unique: Some("key".into()), ..program("flow") });
        }
        facts.attempts.insert(1, vec![attempt(1, 1, "dead")]);
        let restart = |job_id: i64| Restart { job_id, restarted_from: 1, from_step: 2, restarted_by: "robot".into(), taken_over: 1 };
        facts.restarts = jobs.iter().map(|job| (*job, restart(*job))).collect();
        for answer in answers {
            let intent = Act { asked_us: 0, answered_us: None, what: Deed::Restart(1, 2), answer: None };
            facts.acts.push(intent.clone());
            facts.acts.extend(answer.clone().map(|answer| Act { answered_us: Some(1), answer: Some(answer), ..intent }));
        }
        check(&facts).violations.len()
    }

    #[test]
    fn an_answer_is_one_job_and_a_lost_one_is_one_at_most() {
        let made = |job| Some(Answer::Made(job));
        assert_eq!((wrong(&[2], &[made(2)]), wrong(&[2, 3], &[made(2), made(3)])), (0, 0));
        assert_eq!((wrong(&[], &[None]), wrong(&[2], &[None]), wrong(&[2, 3], &[None, made(3)])), (0, 0, 0));
        assert_eq!(wrong(&[2, 3], &[made(2)]), 1, "twice");
        assert_eq!(wrong(&[2, 3], &[None]), 1, "twice, and nobody was told");
        assert_eq!(wrong(&[], &[made(2)]), 1, "it is not there");
        assert_eq!(wrong(&[2], &[made(2), made(2)]), 1, "it was told of twice");
        assert_eq!(wrong(&[2], &[]), 1, "nobody asked");
    }

    #[test]
    fn one_that_has_ended_is_refused_only_for_its_unique_key() {
        let refused = |words: &str| Some(Answer::Words(words.into()));
        let held = || refused("job 2 holds the unique key of workflow 1 and is still alive");
        assert_eq!(wrong(&[2], &[Some(Answer::Made(2)), held()]), 0);
        assert_eq!(wrong(&[2, 3], &[Some(Answer::Made(2)), held()]), 1, "refused, and made");
        assert_eq!(wrong(&[], &[refused("job 9 holds the unique key of workflow 1 and is still alive")]), 1, "nobody has it");
        assert_eq!(wrong(&[], &[refused("workflow 1 is running: cancel it first")]), 1);
    }

    #[test]
    fn a_restart_has_what_was_done_before_its_step_and_comes_after_the_end() {
        let of = |taken_over, ended_ms| {
            let mut facts = Facts::default();
            add_job(&mut facts, 1, &program("flow"));
            add_job(&mut facts, 2, &program("flow"));
            facts.attempts.insert(1, vec![Attempt { finished_at: wall(ended_ms), ..attempt(1, 1, "dead") }]);
            is_whole(&facts, &Restart { job_id: 2, restarted_from: 1, from_step: 3, restarted_by: "robot".into(), taken_over })
        };
        assert!(of(2, 0) && !of(3, 0) && !of(1, 0) && !of(2, 1), "jobs are made at zero");
    }
}
