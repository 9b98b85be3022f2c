//! I2: nothing is there that nobody asked for, and nothing twice.

use std::collections::HashSet;

use engine::Job as _;

use super::Finding;
use crate::{
    facts::Facts,
    kinds::{Play, PlayTogether},
};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I2", "no job is there that nobody asked for, or twice");
    let fired: HashSet<i64> = facts.occurrences.iter().filter_map(|occurrence| occurrence.job_id).collect();
    for job in &facts.jobs {
        match job.kind.as_str() {
            Play::KIND | PlayTogether::KIND => {
                let known = job.key().is_some_and(|key| facts.programs.contains_key(key));
                finding.holds(known, || format!("job {} plays {:?}, which nobody enqueued", job.id, job.key()));
            }
            "ordeal.tick" => finding.holds(fired.contains(&job.id), || format!("job {} ticks, and no occurrence made it", job.id)),
            _ => finding.looks(),
        }
    }
    for (key, places) in &facts.by_key {
        finding.holds(places.len() == 1, || format!("program {key} has {} jobs", places.len()));
    }
    held_keys(facts, &mut finding);
    finding
}

/// A program that was told of another's job shares its unique key, and has none of its own.
fn held_keys(facts: &Facts, finding: &mut Finding) {
    for intent in facts.intents.iter().filter(|intent| intent.keyed) {
        let program = &intent.programs[0];
        let Some(id) = facts.acks.get(&program.key).and_then(|ack| ack.jobs[0]) else { continue };
        let Ok(place) = facts.jobs.binary_search_by_key(&id, |job| job.id) else { continue };
        let job = &facts.jobs[place];
        if job.key() == Some(&program.key) {
            continue;
        }
        let shares = program.unique.is_some() && program.unique == job.unique_key;
        finding.holds(shares && !facts.by_key.contains_key(&program.key), || {
            format!("program {} was told of job {id}, which plays {:?} under the unique key {:?}", program.key, job.key(), job.unique_key)
        });
    }
}
