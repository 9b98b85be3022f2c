//! I11: arguments come back as they were, in the job and in its letter.

use serde_json::{Value, json};

use super::Finding;
use crate::facts::Facts;

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I11", "arguments are what they were");
    for job in &facts.jobs {
        let Some(program) = job.key().and_then(|key| facts.programs.get(key)) else { continue };
        let mut expected = json!({ "key": program.key, "acts": program.acts, "chaff": program.chaff });
        // A requeue is given no chaff at all.
        if job.requeued_from.is_some() && program.chaff == Value::Null {
            expected.as_object_mut().expect("an object").remove("chaff");
        }
        finding.holds(job.args == expected, || format!("job {} has the arguments {} and must have {expected}", job.id, job.args));
    }
    for letter in &facts.letters {
        let Some(job) = letter.job_id.and_then(|id| facts.jobs.binary_search_by_key(&id, |job| job.id).ok()) else { continue };
        finding.holds(letter.payload == facts.jobs[job].args, || format!("letter {} has other arguments than its job", letter.id));
    }
    finding
}
