//! I5: rows that a program commits are there exactly once; what it does outside is done under the keys it must have, and
//! again only after an attempt that counted for nothing.

use std::collections::{BTreeSet, HashMap};

use super::Finding;
use crate::{
    facts::{Effect, Facts, Job},
    model::{End, Foreseen},
    witness::What,
};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I5", "effects inside happen once, effects outside under one key");
    let mut outside: HashMap<i64, Vec<(usize, i32)>> = HashMap::new();
    for word in &facts.words {
        if let What::Outside(act) = word.what {
            outside.entry(word.job).or_default().push((act, word.attempt));
        }
    }
    for job in &facts.jobs {
        let Some(key) = job.key() else { continue };
        let Some(program) = facts.programs.get(key) else { continue };
        let foreseen = facts.foresee(job, program);
        finding.looks();
        // Of a workflow that runs again each job has rows of its own.
        let rows: Vec<&Effect> = facts.effects.get(key).into_iter().flatten().filter(|row| row.job_id == job.id).collect();
        for key in &foreseen.emitted {
            let times = facts.events.get(*key).copied().unwrap_or(0);
            let must = i64::from(is_whole(facts, job, &foreseen) == Some(true));
            finding
                .holds(times == must || (must == 0 && times == 1), || format!("job {} emitted the event of {key} {times} times", job.id));
        }
        rows_of(facts, job, &foreseen, &rows, &mut finding);
        words_of(facts, job, &foreseen, outside.get(&job.id).map_or(&[][..], Vec::as_slice), &mut finding);
    }
    for row in facts.effects.values().flatten() {
        let is_its = facts.job(row.job_id).and_then(Job::key) == Some(row.program.as_str());
        finding.holds(is_its, || format!("job {} wrote a row of {}, which it does not play", row.job_id, row.program));
    }
    finding
}

/// Whether the job ended as it must: then all of it happened, otherwise a part.
pub(super) fn is_whole(facts: &Facts, job: &Job, foreseen: &Foreseen<'_>) -> Option<bool> {
    let end = facts.end_of(job.id)?;
    Some(match foreseen.end {
        End::Completed(_) => end.outcome == "completed",
        End::Dead(category) => end.outcome == "dead" && end.category.as_deref() == Some(category),
        End::Cancelled => facts.cancelled(job.id).is_none() && !facts.was_displaced(job.id) && !facts.was_cancelled_with_batch(job.id),
        End::Held => false,
    })
}

fn rows_of(facts: &Facts, job: &Job, foreseen: &Foreseen<'_>, rows: &[&Effect], finding: &mut Finding) {
    let whole = is_whole(facts, job, foreseen);
    let inside: Vec<usize> = rows.iter().filter(|row| !row.last).map(|row| row.act as usize).collect();
    let distinct: BTreeSet<usize> = inside.iter().copied().collect();
    let must: BTreeSet<usize> = foreseen.inside.iter().copied().collect();
    finding.holds(inside.len() == distinct.len(), || format!("job {} wrote the rows of acts {inside:?}, some twice", job.id));
    let complete = if whole == Some(true) { distinct == must } else { distinct.is_subset(&must) };
    finding.holds(complete, || {
        format!("job {} wrote the rows of acts {distinct:?} and must write {must:?}; it had {:?}", job.id, facts.attempts_of(job.id))
    });

    let last: Vec<i32> = rows.iter().filter(|row| row.last).map(|row| row.attempt).collect();
    let completed = facts.end_of(job.id).filter(|end| end.outcome == "completed" && foreseen.end == End::Completed(true));
    let expected: Vec<i32> = completed.map(|end| end.attempt).into_iter().collect();
    finding.holds(last == expected, || format!("job {} wrote its last row in attempts {last:?} and must in {expected:?}", job.id));
}

fn words_of(facts: &Facts, job: &Job, foreseen: &Foreseen<'_>, words: &[(usize, i32)], finding: &mut Finding) {
    let done: BTreeSet<usize> = words.iter().map(|(act, _)| *act).collect();
    let must: BTreeSet<usize> = foreseen.outside.iter().copied().collect();
    let complete = if is_whole(facts, job, foreseen) == Some(true) { done == must } else { done.is_subset(&must) };
    finding.holds(complete, || format!("job {} did acts {done:?} outside and must do {must:?}", job.id));
    let void = |number: i32| facts.attempts_of(job.id).iter().any(|attempt| attempt.attempt == number && attempt.is_void());
    for act in done {
        // One attempt may do it again when it cannot know whether the note of it was committed.
        let counted: BTreeSet<i32> =
            words.iter().filter(|(other, attempt)| *other == act && !void(*attempt)).map(|(_, attempt)| *attempt).collect();
        finding.holds(counted.len() <= 1, || format!("job {} did act {act} outside in attempts {counted:?}, which all counted", job.id));
    }
}
