//! Programs of one key that displace each other: whoever is displaced makes room for a job that is there, and has not begun;
//! one that waits for others runs neither before its time nor is kept waiting for ever.

use std::collections::HashMap;

use super::Finding;
use crate::{
    facts::{Attempt, Facts, Job},
    program::{DEBOUNCE_MS, Manner},
    witness::What,
};

/// What two clocks of one machine may differ by, in microseconds.
const TOLERANCE_US: i64 = 60_000;

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("keys", "who is displaced makes room for another, and who waits for others waits as long as it must");
    let before: HashMap<i64, i64> = facts.jobs.iter().filter_map(|job| Some((facts.displaced_by(job.id)?, job.id))).collect();
    for job in &facts.jobs {
        let Some(program) = job.key().and_then(|key| facts.programs.get(key)) else { continue };
        if job.manner() == Manner::Yields {
            continue;
        }
        finding.looks();
        if let Some(end) = facts.end_of(job.id).filter(|end| end.outcome == "cancelled")
            && let Some(wrong) = displaced(facts, job, end)
        {
            finding.violated(format!("job {} of the key {:?}: {wrong}", job.id, job.unique_key));
        }
        if program.manner == Manner::Debounces
            && let Some(early) = begun_early(facts, job, &before)
        {
            finding.violated(format!("job {} of the key {:?}: {early}", job.id, job.unique_key));
        }
    }
    finding
}

/// What is wrong with how a job was displaced.
fn displaced(facts: &Facts, job: &Job, end: &Attempt) -> Option<String> {
    // Whoever draws a lower number may have waited for the key meanwhile.
    let shares = |other: &Job| other.id != job.id && other.kind == job.kind && other.unique_key == job.unique_key;
    let Some(by) = facts.displaced_by(job.id) else {
        // Nobody knows any more whose the key was: somebody's who came before that.
        let silent = facts.was_displaced(job.id) && job.manner() == Manner::Debounces && facts.cancelled(job.id).is_none();
        let somebody = facts.jobs.iter().any(|other| shares(other) && other.created_at <= end.finished_at);
        return (silent && !somebody).then(|| "it was cancelled, and nobody has taken its key".into());
    };
    if !facts.job(by).is_some_and(shares) {
        return Some(format!("it made room for job {by}, which is not there or has another key"));
    }
    let replaced = end.error.as_deref().is_some_and(|words| words.starts_with("replaced"));
    let began = facts.words.iter().any(|word| word.job == job.id && word.attempt == end.attempt && matches!(word.what, What::Started(_)));
    (replaced && began).then(|| format!("attempt {} had begun when job {by} replaced it", end.attempt))
}

/// Whether one that waits for others began before its time.
fn begun_early(facts: &Facts, job: &Job, before: &HashMap<i64, i64>) -> Option<String> {
    let meant = |id: i64| {
        let key = facts.job(id)?.key()?;
        facts.intents.iter().find(|intent| intent.programs.iter().any(|program| program.key == key)).map(|intent| intent.at_us)
    };
    let began = facts.words.iter().find(|word| word.job == job.id && matches!(word.what, What::Started(_)))?.at_us;
    let Some(first) = first_of(job.id, before) else { return Some("those that were displaced for it lead back to it".into()) };
    let (wait, at_most) = (DEBOUNCE_MS.0 as i64 * 1000, DEBOUNCE_MS.1 as i64 * 1000);
    let due = (meant(job.id)? + wait).min(meant(first)? + at_most);
    (began + TOLERANCE_US < due).then(|| format!("it began {} ms before its time", (due - began) / 1000))
}

/// The first of those of which each was displaced by the next, and the last by this job; none when wrong words lead in a circle.
fn first_of(job: i64, before: &HashMap<i64, i64>) -> Option<i64> {
    let mut first = job;
    for _ in 0..=before.len() {
        match before.get(&first) {
            Some(earlier) => first = *earlier,
            None => return Some(first),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_lead_in_a_circle_are_no_way_to_the_first() {
        let before = HashMap::from([(3, 2), (2, 5), (7, 7), (9, 8), (8, 9)]);
        assert_eq!(first_of(3, &before), Some(5), "who has a higher number may have had the key before");
        assert_eq!(first_of(4, &before), Some(4));
        assert_eq!(first_of(7, &before), None);
        assert_eq!(first_of(9, &before), None);
    }
}
