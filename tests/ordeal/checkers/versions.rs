//! What one version of the program made, another understands, or leaves alone: nothing is lost between them.

use std::collections::HashSet;

use engine::Job;

use super::Finding;
use crate::{
    facts::Facts,
    kinds::versions::{Novel, Shape, answer},
};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("mixed", "jobs of two versions of the program all end as both mean it");
    let mut made = HashSet::new();
    for shaped in &facts.shaped {
        let (kind, job) = (&shaped.kind, shaped.job);
        finding.holds(made.insert(job), || format!("{kind} {} was acknowledged as job {job}, which is another's", shaped.number));
        let end = facts.end_of(job);
        let right = end.is_some_and(|end| end.outcome == "completed" && end.output == Some(answer(shaped.number)));
        finding.holds(right, || format!("job {job}, {kind} {}, must answer {} and ended as {end:?}", shaped.number, answer(shaped.number)));
        let failed = facts.attempts_of(job).iter().find(|attempt| attempt.outcome == "failed");
        finding.holds(failed.is_none(), || format!("job {job} of kind {kind} failed at a version that does not know it: {failed:?}"));
    }
    // Each was asked for until there was an answer.
    let kinds = [Novel::KIND, Shape::KIND];
    let there = facts.jobs.iter().filter(|job| kinds.contains(&job.kind.as_str())).count();
    finding.holds(there == facts.shaped.len(), || format!("{there} jobs were made, and {} acknowledged", facts.shaped.len()));
    finding
}
