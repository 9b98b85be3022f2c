//! I1: what was acknowledged is there, and what was enqueued together is there together.

use super::Finding;
use crate::{
    facts::{Facts, Job},
    ledger::{Ack, Intent},
    model::foresee,
    program::Program,
};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I1", "no acknowledged job is lost");
    for intent in &facts.intents {
        let key = &intent.programs[0].key;
        match facts.acks.get(key) {
            Some(ack) => acknowledged(facts, intent, ack, &mut finding),
            None if intent.keyed => finding.violated(format!("program {key} was never acknowledged: the run is not whole")),
            None => {
                // One whose unique key was held is there in neither case.
                let plain: Vec<_> = intent.programs.iter().filter(|program| program.unique.is_none()).collect();
                let there = plain.iter().filter(|program| facts.by_key.contains_key(&program.key)).count();
                finding.holds(there == 0 || there == plain.len(), || {
                    format!("of {} programs enqueued together with {key}, without an answer, {there} are there", plain.len())
                });
            }
        }
    }
    children(facts, &mut finding);
    finding
}

/// Each answer names the job of its own program.
fn acknowledged(facts: &Facts, intent: &Intent, ack: &Ack, finding: &mut Finding) {
    for (program, id) in intent.programs.iter().zip(&ack.jobs) {
        let key = &program.key;
        let unique = program.unique.as_deref().unwrap_or_default();
        let held = |job: &Job| facts.had_key(job, program.kind(), unique, intent.at_us, ack.at_us);
        if id.is_none() && program.unique.is_some() {
            finding.holds(!facts.by_key.contains_key(key), || format!("program {key} was refused for its key and is there"));
            let is_held = facts.jobs.iter().any(|job| job.key() != Some(key) && held(job));
            finding.holds(is_held, || format!("program {key} was refused for the key {:?}, which nobody held", program.unique));
            continue;
        }
        let named = id.and_then(|id| facts.job(id));
        finding.holds(named.is_some(), || format!("program {key} was acknowledged as job {id:?}, which is not there"));
        let is_other = named.filter(|job| intent.keyed && job.key() != Some(key));
        finding.holds(is_other.is_none_or(held), || {
            format!("program {key} was told that job {id:?} holds its key {:?}, which did not live then", program.unique)
        });
        let is_own = intent.keyed && named.is_some_and(|job| job.key() == Some(key.as_str()));
        finding.holds(!is_own || ack.created || ack.asked_again > 0 || intent.programs.len() > 1, || {
            format!("program {key} was asked for once, and told that job {id:?} was there before")
        });
        // One that is asked for alone is told who holds its key, which is looked at by others.
        let may_be_held = intent.keyed && program.unique.is_some();
        finding.holds(may_be_held || named.is_none_or(|job| job.key() == Some(key.as_str())), || {
            format!("program {key} was acknowledged as job {id:?}, which plays {:?}", named.and_then(Job::key))
        });
    }
}

/// A program that ended well has its children.
fn children(facts: &Facts, finding: &mut Finding) {
    for (key, program) in &facts.programs {
        let Some(job) = facts.job_of(key) else { continue };
        if facts.end_of(job.id).is_none_or(|end| end.outcome != "completed") {
            continue;
        }
        for child in foresee(program).children {
            finding.holds(facts.by_key.contains_key(&child.key) || was_held(facts, job, child), || {
                format!("job {} of program {key} completed, and its child {} is not there", job.id, child.key)
            });
        }
    }
}

/// Whether another job lived that had the child's unique key, while its parent did.
fn was_held(facts: &Facts, parent: &Job, child: &Program) -> bool {
    let parent_ended = facts.end_of(parent.id).map(|end| end.finished_at);
    let lived =
        |job: &Job| Some(job.created_at) <= parent_ended && facts.end_of(job.id).is_none_or(|end| end.finished_at >= parent.created_at);
    child.unique.is_some() && facts.jobs.iter().any(|job| job.unique_key == child.unique && lived(job))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkers::made::{add_job, ask, attempt, life, program, wall},
        facts::Attempt,
    };

    /// How many answers are wrong when two programs were told of these jobs in one call; theirs are 1 and 2.
    fn wrong(told: [Option<i64>; 2]) -> usize {
        let mut facts = Facts::default();
        let (first, second) = (program("first"), program("second"));
        add_job(&mut facts, 1, &first);
        add_job(&mut facts, 2, &second);
        ask(&mut facts, 0, &[(&first, told[0]), (&second, told[1])]);
        check(&facts).violations.len()
    }

    #[test]
    fn an_answer_of_many_names_the_job_of_each() {
        assert_eq!(wrong([Some(1), Some(2)]), 0);
        assert_eq!(wrong([Some(2), Some(1)]), 2, "both are there, and each is the other's");
        assert_eq!(wrong([Some(1), Some(3)]), 1);
        assert_eq!(wrong([Some(1), None]), 1);
    }

    #[test]
    fn only_one_that_is_asked_for_alone_may_be_told_of_another_that_has_its_key() {
        let mut facts = Facts::default();
        let of_key = |key| Program { unique: Some("key".into()), ..program(key) };
        add_job(&mut facts, 1, &of_key("holder"));
        ask(&mut facts, 0, &[(&of_key("held"), Some(1))]);
        assert!(check(&facts).violations.is_empty());
        ask(&mut facts, 0, &[(&of_key("one"), None), (&of_key("two"), Some(1))]);
        assert_eq!(check(&facts).violations.len(), 1);
    }

    #[test]
    fn a_key_is_refused_only_while_another_job_has_it() {
        let refused = |ms: i64, told: &[Option<i64>]| {
            let mut facts = Facts { lives: vec![life(0, 1, "started")], ..Facts::default() };
            let of_key = |key: &str| Program { unique: Some("key".into()), ..program(key) };
            add_job(&mut facts, 1, &of_key("holder"));
            facts.attempts.insert(1, vec![Attempt { finished_at: wall(1000), ..attempt(1, 1, "completed") }]);
            let programs: Vec<Program> = (0..told.len()).map(|number| of_key(&format!("newcomer {number}"))).collect();
            let asked: Vec<(&Program, Option<i64>)> = programs.iter().zip(told.iter().copied()).collect();
            ask(&mut facts, ms, &asked);
            check(&facts).violations.len()
        };
        assert_eq!(refused(500, &[None, None]), 0);
        assert_eq!(refused(500, &[Some(1)]), 0);
        assert_eq!(refused(2500, &[None, None]), 0, "the end may have been committed late");
        assert_eq!(refused(4000, &[None, None]), 2, "nobody has it any more");
        assert_eq!(refused(4000, &[Some(1)]), 1);
    }
}
