//! Programs of one key that displace each other: the newest wins, but one that replaces gives way to one that runs; whoever is
//! displaced makes room for a job that is there, and has not begun; one that waits for others runs neither before its time nor
//! is kept waiting for ever.

use std::collections::HashMap;

use super::Finding;
use crate::{
    facts::{Attempt, Facts, Job},
    ledger::Intent,
    program::{DEBOUNCE_MS, Manner, Program},
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
    answers(facts, &mut finding);
    finding
}

/// The newest wins: one that debounces is made whoever holds its key, and one that replaces gives way only to what was claimed before
/// it was told so.
fn answers(facts: &Facts, finding: &mut Finding) {
    for intent in &facts.intents {
        let Some(ack) = facts.acks.get(&intent.programs[0].key) else { continue };
        for (program, told) in intent.programs.iter().zip(&ack.jobs).filter(|(program, _)| program.manner != Manner::Yields) {
            let is_own = told.is_some_and(|id| facts.job(id).is_some_and(|job| job.key() == Some(&program.key)));
            let gave_way = program.manner == Manner::Replaces && was_held(facts, intent, program, *told, ack.at_us);
            finding.holds(is_own || gave_way, || {
                let (key, unique) = (&program.key, &program.unique);
                format!("program {key} was told of job {told:?} under the key {unique:?}, which it has to take over")
            });
        }
    }
}

/// Whether a job that may have kept a newcomer from its key had been claimed by then; of many in one call nobody says which it was.
fn was_held(facts: &Facts, intent: &Intent, newcomer: &Program, told: Option<i64>, at_us: i64) -> bool {
    let is_beside = |job: &Job| intent.programs.iter().any(|program| job.key() == Some(&program.key));
    let is_named = |job: &Job| told.is_none_or(|id| job.id == id);
    facts
        .jobs
        .iter()
        .any(|job| job.unique_key == newcomer.unique && is_named(job) && !is_beside(job) && may_have_been_claimed(facts, job, at_us))
}

/// Whether a job may have been claimed by then. One that somebody else ended before its first claim has an attempt of no worker, and
/// none is claimed before its time. When a claim was made is not told by the attempts of a worker that holds some jobs ahead.
fn may_have_been_claimed(facts: &Facts, job: &Job, at_us: i64) -> bool {
    let never = facts.attempts_of(job.id).first().is_some_and(|attempt| attempt.worker_id.is_none());
    let asked = |intent: &&Intent| intent.programs.iter().any(|program| job.key() == Some(&program.key));
    let delay_us = job.key().and_then(|key| facts.programs.get(key)).map_or(0, |program| program.delay_ms as i64 * 1000);
    let is_due = facts.intents.iter().find(asked).is_none_or(|intent| intent.at_us + delay_us - TOLERANCE_US < at_us);
    is_due && !never
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
    use crate::checkers::made::{add_job, ask, attempt, program};

    #[test]
    fn words_that_lead_in_a_circle_are_no_way_to_the_first() {
        let before = HashMap::from([(3, 2), (2, 5), (7, 7), (9, 8), (8, 9)]);
        assert_eq!(first_of(3, &before), Some(5), "who has a higher number may have had the key before");
        assert_eq!(first_of(4, &before), Some(4));
        assert_eq!(first_of(7, &before), None);
        assert_eq!(first_of(9, &before), None);
    }

    /// A program that has the key from the beginning and is due at 1 s, with its first attempt; and one that comes after it, and is told
    /// of a job.
    fn wrong(manner: Manner, first: Attempt, at_ms: i64, told: Option<i64>) -> usize {
        let of_key = |key: &str| Program { unique: Some("key".into()), manner, ..program(key) };
        let (holder, newcomer) = (Program { delay_ms: 1000, ..of_key("holder") }, of_key("newcomer"));
        let mut facts = Facts::default();
        add_job(&mut facts, 1, &holder);
        facts.attempts.insert(1, vec![first]);
        ask(&mut facts, 0, &[(&holder, Some(1))]);
        // One of its own call, which has no key.
        let beside = program("beside");
        add_job(&mut facts, 2, &beside);
        ask(&mut facts, at_ms, &[(&newcomer, told), (&beside, Some(2))]);
        let mut finding = Finding::new("keys", "");
        answers(&facts, &mut finding);
        assert_eq!(finding.looked_at, 2);
        finding.violations.len()
    }

    #[test]
    fn one_that_debounces_is_made_whoever_holds_its_key() {
        for id in [Some(1), None] {
            assert_eq!(wrong(Manner::Debounces, attempt(1, 1, "completed"), 5000, id), 1);
        }
    }

    #[test]
    fn one_that_replaces_gives_way_only_to_what_may_have_been_claimed() {
        let waited = || Attempt { worker_id: None, ..attempt(1, 1, "cancelled") };
        for id in [Some(1), None] {
            assert_eq!(wrong(Manner::Replaces, attempt(1, 1, "lost"), 1500, id), 0);
            assert_eq!(wrong(Manner::Replaces, attempt(1, 1, "lost"), 500, id), 1, "it was not due");
            assert_eq!(wrong(Manner::Replaces, waited(), 1500, id), 1, "nobody has ever claimed it");
        }
        assert_eq!(wrong(Manner::Replaces, attempt(1, 1, "lost"), 1500, Some(2)), 1, "another key");
    }
}
