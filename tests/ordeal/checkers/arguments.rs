//! I11: arguments come back as they were, in the job and in its letter.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::Finding;
use crate::facts::Facts;

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I11", "arguments are what they were");
    let called_back: HashSet<&str> =
        facts.intents.iter().filter_map(|intent| intent.callback.as_ref()).map(|program| program.key.as_str()).collect();
    for job in &facts.jobs {
        let Some(program) = job.key().and_then(|key| facts.programs.get(key)) else { continue };
        let mut expected = json!({ "key": program.key, "acts": program.acts, "chaff": program.chaff });
        // A requeue is given no chaff at all.
        if job.requeued_from.is_some() && program.chaff == Value::Null {
            expected.as_object_mut().expect("an object").remove("chaff");
        }
        let mut stored = job.args.clone();
        if called_back.contains(program.key.as_str()) {
            // What a batch adds is the business of its checker.
            stored.as_object_mut().and_then(|members| members.remove("batch"));
        }
        finding.holds(stored == expected, || format!("job {} has the arguments {} and must have {expected}", job.id, job.args));
    }
    for letter in &facts.letters {
        let Some(job) = letter.job_id.and_then(|id| facts.jobs.binary_search_by_key(&id, |job| job.id).ok()) else { continue };
        finding.holds(letter.payload == facts.jobs[job].args, || format!("letter {} has other arguments than its job", letter.id));
    }
    finding
}
