//! I12: nothing stands anywhere for ever.

use super::Finding;
use crate::facts::Facts;

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I12", "every job ends after everything is healed");
    for job in &facts.jobs {
        finding.holds(facts.end_of(job.id).is_some(), || format!("job {} of kind {} ({:?}) has not ended", job.id, job.kind, job.key()));
    }
    finding.violations.extend(facts.observed.stuck.iter().cloned());
    finding
}
