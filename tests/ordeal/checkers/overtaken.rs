//! Nobody is overtaken for long: of one lane what was due first begins first, but for what a transaction or a claim held up.
//!
//! What became visible late, since its transaction stayed open, is where a careless claim or promotion no longer looks. It may
//! be found at last when much has struck, so what counts is how things stood when the first began that was due far later.

use std::collections::HashMap;

use super::Finding;
use crate::{
    facts::Facts,
    program::{Manner, Program},
    witness::What,
};

/// For so long others may begin before one that was due and visible, in microseconds: a worker may hold a few jobs ahead.
const SLACK_US: i64 = 3_000_000;

/// A fault of the server, or of the way to it, may hold up for so long what comes after it.
const AROUND_US: i64 = 8_000_000;

/// A worker that says nothing for so long may be starved, and what it holds with it.
const SILENT_US: i64 = 1_000_000;

/// A program's first attempt.
struct Turn<'a> {
    program: &'a str,
    /// From when on it was due, whoever looked.
    due_us: i64,
    /// From when on nobody may overlook it: due, and acknowledged.
    visible_us: i64,
    began_us: i64,
    /// Where.
    pid: u32,
}

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("turns", "nobody is overtaken for long by what was due later");
    for (priority, turns) in turns(facts) {
        for turn in &turns {
            let due_later = turns.iter().filter(|later| later.due_us - turn.visible_us > SLACK_US);
            let Some(later) = due_later.min_by_key(|later| later.began_us) else { continue };
            if was_held_up(facts, turn, later.began_us) {
                continue;
            }
            finding.holds(turn.began_us <= later.began_us, || {
                let ms = (later.due_us - turn.visible_us) / 1000;
                let (first, second) = (turn.program, later.program);
                format!("program {first} of priority {priority} began after {second}, which was due {ms} ms later")
            });
        }
    }
    finding
}

/// Whether it was not the engine that kept a program from its turn until then: a fault that all feel, or one of the process that
/// began it and may have held it all the time. Other processes hold nothing up: a claim is one statement.
fn was_held_up(facts: &Facts, turn: &Turn<'_>, until_us: i64) -> bool {
    let harmed = facts.was_harmed_before(turn.pid, until_us.min(turn.began_us));
    let may_be_starved = turn.began_us > until_us && !was_awake(facts, turn.pid, until_us);
    harmed || may_be_starved || facts.was_away(turn.visible_us - AROUND_US, until_us)
}

/// Whether a process said a word just before a moment; or it had not begun then, and held nothing.
fn was_awake(facts: &Facts, pid: u32, at_us: i64) -> bool {
    let said = facts.words.iter().any(|word| word.pid == pid && word.at_us > at_us - SILENT_US && word.at_us <= at_us);
    said || facts.lives.iter().any(|life| life.pid == pid && life.what == "started" && life.at_us > at_us)
}

/// The first attempts of each priority, of programs that wait for no key and that no worker was lost with.
fn turns(facts: &Facts) -> HashMap<i16, Vec<Turn<'_>>> {
    let mut began: HashMap<i64, (i64, u32)> = HashMap::new();
    for word in facts.words.iter().filter(|word| matches!(word.what, What::Started(_)) && word.attempt == 1) {
        began.entry(word.job).or_insert((word.at_us, word.pid));
    }
    let is_plain = |program: &&Program| program.limit.is_none() && program.manner == Manner::Yields && !program.together;
    let mut turns: HashMap<i16, Vec<Turn<'_>>> = HashMap::new();
    for intent in &facts.intents {
        let Some(ack) = facts.acks.get(&intent.programs[0].key) else { continue };
        for program in intent.programs.iter().filter(is_plain) {
            let Some(job) = facts.job_of(&program.key) else { continue };
            let void = facts.attempts_of(job.id).first().is_none_or(|attempt| attempt.attempt == 1 && attempt.is_void());
            let Some((began_us, pid)) = began.get(&job.id).copied().filter(|_| !void) else { continue };
            let delay_us = program.delay_ms as i64 * 1000;
            // One that is asked for again may wait from then on.
            let (due_us, visible_us) = (intent.at_us + delay_us, ack.at_us + delay_us);
            turns.entry(program.priority).or_default().push(Turn { program: &program.key, due_us, visible_us, began_us, pid });
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkers::made::{add_job, ask, attempt, fault, life, program, word},
        faults::NOTHING,
    };

    /// One that was visible at once and began on process 7, and others, one a second, that began on process 8.
    fn one_among(began_ms: i64) -> Facts {
        let mut facts = Facts { lives: vec![life(0, 7, "started"), life(0, 8, "started")], ..Facts::default() };
        let others = (1..20).map(|second| (second, 8, second * 1000, second * 1000 + 50));
        for (number, pid, asked_ms, began_ms) in std::iter::once((0, 7, 0, began_ms)).chain(others) {
            let (job, program) = (number + 1, program(&format!("p{number}")));
            facts.words.push(word(began_ms, pid, job, &program.key, What::Started(0)));
            facts.attempts.insert(job, vec![attempt(job, 1, "completed")]);
            add_job(&mut facts, job, &program);
            ask(&mut facts, asked_ms, &[(&program, Some(job))]);
        }
        facts
    }

    /// How much was looked at, and how much found.
    fn judged(facts: &Facts) -> (usize, usize) {
        let finding = check(facts);
        (finding.looked_at, finding.violations.len())
    }

    #[test]
    fn what_was_due_far_later_does_not_begin_first() {
        assert_eq!(judged(&one_among(4_000)), (16, 0), "within the slack");
        // The one is overtaken, and its worker has to be seen awake just before.
        let mut overtaken = one_among(6_000);
        assert_eq!(judged(&overtaken), (15, 0), "its worker may have been starved");
        overtaken.words.push(word(4_000, 7, 99, "other", What::Started(0)));
        assert_eq!(judged(&overtaken), (16, 1));
    }

    #[test]
    fn a_worker_that_begins_later_cannot_have_held_it() {
        let mut overtaken = one_among(12_000);
        overtaken.lives[0] = life(11_000, 7, "started");
        assert_eq!(judged(&overtaken), (16, 1));
    }

    #[test]
    fn faults_excuse_only_what_they_may_have_held_up() {
        let with = |class, begin_ms, end_ms, note| {
            let mut facts = one_among(12_000);
            facts.lives[0] = life(11_000, 7, "started");
            facts.faults.push(fault(class, begin_ms, end_ms, note));
            judged(&facts).1
        };
        assert_eq!(with("server-crash", 2_000, 3_000, "back"), 0);
        assert_eq!(with("server-crash", 5_000, 6_000, "back"), 1, "it had been overtaken before");
        assert_eq!(with("kill", 2_000, 3_000, "process 9"), 1, "others would have claimed it");
        assert_eq!(with("pooler", 2_000, 3_000, NOTHING), 1);
        let mut stopped = one_among(6_000);
        stopped.words.push(word(4_000, 7, 99, "other", What::Started(0)));
        stopped.lives.push(life(1_000, 7, "STOP"));
        assert_eq!(judged(&stopped).1, 0);
    }
}
