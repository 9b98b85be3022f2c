//! I9: where a key keeps its order, what was acknowledged before another was even meant begins before it; and what was asked for in
//! one call begins in the order of that call.

use std::collections::HashMap;

use super::Finding;
use crate::{
    facts::Facts,
    program::{LIMITS, Manner},
    witness::{What, Word},
};

/// What two clocks of one machine may differ by, in microseconds.
const TOLERANCE_US: i64 = 60_000;

/// One program of a key: its call and its place there, when it was meant, when it was acknowledged, when it began.
struct Turn<'a> {
    program: &'a str,
    call: usize,
    place: usize,
    meant_us: i64,
    acknowledged_us: i64,
    began_us: i64,
}

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I9", "the jobs of a key that keeps its order begin in it");
    for (key, ..) in LIMITS.iter().filter(|(_, cap, in_order)| *cap == 1 && *in_order) {
        let mut turns = turns(facts, key);
        turns.sort_unstable_by_key(|turn| turn.began_us);
        finding.looked_at += turns.len();
        for (number, earlier) in turns.iter().enumerate() {
            let later = &turns[number + 1..];
            if let Some(overtaken) = later.iter().find(|later| later.acknowledged_us < earlier.meant_us) {
                let (first, second) = (earlier.program, overtaken.program);
                finding.violated(format!("program {first} of the key {key} overtook {second}, which was acknowledged before it was meant"));
            }
            if let Some(overtaken) = later.iter().find(|later| later.call == earlier.call && later.place < earlier.place) {
                let (first, second) = (earlier.program, overtaken.program);
                finding.violated(format!("program {first} of the key {key} overtook {second}, which came before it in their call"));
            }
        }
    }
    finding
}

/// The programs of a key that began, but for those that waited for a time of their own first, and those whose place in the line
/// somebody else may have held: an operator that cancels a job, or a program that replaces it, may change nothing in the end.
fn turns<'a>(facts: &'a Facts, key: &str) -> Vec<Turn<'a>> {
    let began = began(facts, key);
    let mut turns = Vec::new();
    for (call, intent) in facts.intents.iter().enumerate() {
        let Some(ack) = facts.acks.get(&intent.programs[0].key) else { continue };
        for (place, program) in intent.programs.iter().enumerate() {
            let is_plain = program.limit.as_deref() == Some(key) && program.delay_ms == 0 && program.manner == Manner::Yields;
            let is_left_alone = || facts.job_of(&program.key).is_some_and(|job| facts.cancelled(job.id).is_none());
            if let Some(began_us) = began.get(program.key.as_str()).filter(|_| is_plain && is_left_alone()) {
                let (meant_us, acknowledged_us, began_us) = (intent.at_us, ack.at_us, *began_us);
                turns.push(Turn { program: &program.key, call, place, meant_us, acknowledged_us, began_us });
            }
        }
    }
    turns
}

/// When each program of a key began. A worker that was stopped may say so when the attempt is over: that is not when it had its
/// turn.
fn began<'a>(facts: &'a Facts, key: &str) -> HashMap<&'a str, i64> {
    let is_of_key = |word: &&Word| facts.programs.get(&word.program).is_some_and(|program| program.limit.as_deref() == Some(key));
    let mut began: HashMap<&str, i64> = HashMap::new();
    for word in facts.words.iter().filter(is_of_key).filter(|word| matches!(word.what, What::Started(_))) {
        let attempt = facts.attempts_of(word.job).iter().find(|attempt| attempt.attempt == word.attempt);
        let ended_us = attempt.and_then(|attempt| facts.by_the_clock_of_all(attempt.finished_at));
        if ended_us.is_none_or(|ended_us| word.at_us <= ended_us + TOLERANCE_US) {
            began.entry(&word.program).or_insert(word.at_us);
        }
    }
    began
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkers::made::{add_job, ask, attempt, life, program, wall, word},
        facts::Attempt,
        ledger::{Act, Answer, Deed},
        program::Program,
    };

    /// Programs of a key that keeps its order, asked for in one call; when the attempt of each began and ended.
    fn called(times: &[(i64, i64)]) -> Facts {
        let mut facts = Facts { lives: vec![life(0, 1, "started")], ..Facts::default() };
        let of_key = |job: i64| Program { limit: Some(LIMITS[0].0.into()), ..program(&format!("p{job}")) };
        let programs: Vec<(i64, Program)> = (1..).zip(times).map(|(job, _)| (job, of_key(job))).collect();
        for ((job, program), (began_ms, ended_ms)) in programs.iter().zip(times) {
            facts.words.push(word(*began_ms, 1, *job, &program.key, What::Started(0)));
            facts.attempts.insert(*job, vec![Attempt { finished_at: wall(*ended_ms), ..attempt(*job, 1, "completed") }]);
            add_job(&mut facts, *job, program);
        }
        facts.words.sort_by_key(|word| word.at_us);
        let asked: Vec<(&Program, Option<i64>)> = programs.iter().map(|(job, program)| (program, Some(*job))).collect();
        ask(&mut facts, 0, &asked);
        facts
    }

    #[test]
    fn what_was_asked_for_in_one_call_begins_in_its_order() {
        assert!(check(&called(&[(10, 20), (30, 40), (50, 60)])).violations.is_empty());
        let finding = check(&called(&[(10, 20), (50, 60), (30, 40)]));
        assert_eq!((finding.looked_at, finding.violations.len()), (3, 1), "{finding:?}");
    }

    #[test]
    fn a_word_that_comes_when_the_attempt_is_over_is_no_turn() {
        assert!(check(&called(&[(900, 20), (30, 40)])).violations.is_empty());
    }

    #[test]
    fn one_that_an_operator_asks_to_cancel_may_be_passed_over() {
        let mut facts = called(&[(50, 60), (30, 40)]);
        assert_eq!(check(&facts).violations.len(), 1);
        let what = Deed::Cancel(1, "p1".into());
        facts.acts.push(Act { asked_us: 0, answered_us: Some(1), what, answer: Some(Answer::Words("Requested".into())) });
        assert!(check(&facts).violations.is_empty());
    }
}
