//! What a program says of its own progress stays as it was last said, and its log has a line of each word.

use std::collections::BTreeSet;

use super::{Finding, effects::is_whole};
use crate::facts::Facts;

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("notes", "what a job said of itself is there as it said it last");
    for job in &facts.jobs {
        let Some(program) = job.key().and_then(|key| facts.programs.get(key)) else { continue };
        let foreseen = facts.foresee(job, program);
        let said: Vec<&str> = facts.lines.get(&job.id).into_iter().flatten().map(String::as_str).collect();
        let may: Vec<String> = foreseen.noted.iter().map(|act| format!("at act {act}")).collect();
        let (lines, of_model) = (said.iter().copied().collect::<BTreeSet<_>>(), may.iter().map(String::as_str).collect::<BTreeSet<_>>());
        if lines.is_empty() && of_model.is_empty() {
            continue;
        }
        // One that somebody else ended had said a part of it.
        let whole = is_whole(facts, job, &foreseen) == Some(true);
        let right = if whole { lines == of_model } else { lines.is_subset(&of_model) };
        finding.holds(right, || format!("job {} wrote {said:?} into its log and must write {may:?}", job.id));
        let last = facts.progress.get(&job.id).map(|done| *done as usize);
        let as_said = if whole { last == foreseen.noted.last().copied() } else { last.is_none_or(|act| foreseen.noted.contains(&act)) };
        finding.holds(as_said, || format!("job {} is at {last:?} by its own word and must be at {:?}", job.id, foreseen.noted.last()));
    }
    finding
}
