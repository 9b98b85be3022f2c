//! I1: what was acknowledged is there, and what was enqueued together is there together.

use super::Finding;
use crate::{
    facts::{Facts, Job},
    model::foresee,
    program::Program,
};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I1", "no acknowledged job is lost");
    for intent in &facts.intents {
        let key = &intent.programs[0].key;
        match facts.acks.get(key) {
            Some(ack) => {
                for (program, id) in intent.programs.iter().zip(&ack.jobs) {
                    if id.is_none() && program.unique.is_some() {
                        finding.holds(!facts.by_key.contains_key(&program.key), || {
                            format!("program {} was refused for its key and is there", program.key)
                        });
                        continue;
                    }
                    let exists = id.is_some_and(|id| facts.jobs.binary_search_by_key(&id, |job| job.id).is_ok());
                    finding.holds(exists, || format!("program {} was acknowledged as job {id:?}, which is not there", program.key));
                }
            }
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
