//! What waits for its time waits: delays, snoozes, and the pause of a queue.

use std::collections::HashMap;

use super::Finding;
use crate::{
    facts::Facts,
    ledger::{Deed, Held},
    program::{Act, due},
    stage::WORKERS,
    witness::{What, Word},
};

/// What two clocks of one machine may differ by, and a database that counts in microseconds, in milliseconds.
const TOLERANCE_MS: i64 = 60;
/// What workers hold already when a queue is paused is begun in this time.
const IN_HAND_US: i64 = 1_200_000;
/// And so many may be later, on a machine under load: a worker holds a dozen jobs, and runs of a key follow each other. What
/// came after the pause is judged exactly.
const LATE: usize = 12 * WORKERS;

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("due", "nothing runs before its time");
    let intended = intended(facts);
    for word in &facts.words {
        let What::Started(counted) = word.what else { continue };
        let Some(program) = facts.programs.get(&word.program) else { continue };
        if let Some(at) = intended.get(word.program.as_str()).filter(|_| program.delay_ms > 0) {
            let waited = (word.at_us - at) / 1000;
            finding.holds(waited + TOLERANCE_MS >= program.delay_ms as i64, || {
                format!("job {} ran after {waited} ms, and was to wait {} ms", word.job, program.delay_ms)
            });
        }
        if let Some(Act::Snooze(ms)) = counted.checked_sub(1).and_then(|before| due(&program.acts, before).last()).map(|(_, act)| act) {
            snooze(facts, word.job, word.attempt, *ms as i64, &mut finding);
        }
    }
    // The statement that ends an attempt tells the time, and may have looked for pauses a little earlier.
    let came = when_attempts_came(facts, IN_HAND_US);
    // How a breaker is kept is looked at by its own checker.
    pauses(facts, &came, |held| *held != Held::Breaker, &mut finding);
    finding
}

/// When each program was asked for.
fn intended(facts: &Facts) -> HashMap<&str, i64> {
    facts.intents.iter().flat_map(|intent| intent.programs.iter().map(|program| (program.key.as_str(), intent.at_us))).collect()
}

/// The attempt after a snooze began after its time.
fn snooze(facts: &Facts, job: i64, number: i32, ms: i64, finding: &mut Finding) {
    let attempts = facts.attempts_of(job);
    let before = attempts.iter().rev().find(|attempt| attempt.attempt < number && attempt.outcome == "snoozed");
    let after = attempts.iter().find(|attempt| attempt.attempt == number);
    let (Some(before), Some(after)) = (before, after) else { return };
    let waited = (after.started_at - before.finished_at).num_milliseconds();
    finding.holds(waited + TOLERANCE_MS >= ms, || format!("job {job} snoozed for {ms} ms and ran again after {waited} ms"));
}

/// While a queue or a kind is paused, or a key held, nothing of it begins but what was in hand; what came after that cannot have been.
pub(super) fn pauses(facts: &Facts, came: &HashMap<(i64, i32), i64>, is_judged: impl Fn(&Held) -> bool, finding: &mut Finding) {
    let mut since: HashMap<&Held, i64> = HashMap::new();
    for act in &facts.acts {
        match (&act.what, act.answered_us) {
            (Deed::Hold(held, begins), Some(at)) if is_judged(held) => {
                since.insert(held, begins.map_or(at, |begins| at.max(begins)));
            }
            (Deed::Free(held), None) => {
                if let Some(from) = since.remove(held) {
                    paused(facts, came, (from, act.asked_us), held, finding);
                }
            }
            _ => (),
        }
    }
}

/// What began from one moment to another while it was held.
fn paused(facts: &Facts, came: &HashMap<(i64, i32), i64>, (from, to): (i64, i64), what: &Held, finding: &mut Finding) {
    let is_of = |program: &str| facts.programs.get(program).is_some_and(|program| what.holds(program));
    let begun = |word: &&Word| matches!(word.what, What::Started(_)) && word.at_us > from && word.at_us < to && is_of(&word.program);
    let (new, old): (Vec<&Word>, Vec<&Word>) =
        facts.words.iter().filter(begun).partition(|word| came.get(&(word.job, word.attempt)).is_some_and(|at| *at > from));
    finding.holds(new.is_empty(), || {
        let jobs: Vec<(i64, i32)> = new.iter().map(|word| (word.job, word.attempt)).take(5).collect();
        format!("{} attempts came after {what} was paused and began in its pause: {jobs:?}", new.len())
    });
    let late = old.iter().filter(|word| word.at_us > from + IN_HAND_US).count();
    finding.holds(late <= LATE, || format!("{late} jobs began while {what} was paused"));
}

/// No attempt was there before this: the job was not asked for, or the attempt before it had not ended, less what may lie between where
/// the next one was let go and where that end says it was. (When that began says nothing: a worker that was stopped may go on with an
/// attempt that was given up, after the next one came.)
pub(super) fn when_attempts_came(facts: &Facts, earlier_us: i64) -> HashMap<(i64, i32), i64> {
    let intended = intended(facts);
    let begun = facts.words.iter().filter(|word| matches!(word.what, What::Started(_)));
    let came = begun.filter_map(|word| {
        let asked = intended.get(word.program.as_str()).copied();
        let before = facts.attempts_of(word.job).iter().find(|attempt| attempt.attempt + 1 == word.attempt);
        let free = before.and_then(|before| facts.by_the_clock_of_all(before.finished_at)).map(|at| at - earlier_us);
        asked.max(free).map(|at| ((word.job, word.attempt), at))
    });
    came.collect()
}
