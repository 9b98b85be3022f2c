//! Nobody is overtaken for long: of one lane what was due first begins first, but for what a transaction or a claim held up.
//!
//! What became visible late, since its transaction stayed open, is where a careless claim or promotion no longer looks.

use std::collections::HashMap;

use super::Finding;
use crate::{
    facts::Facts,
    program::{Manner, Played, Program},
    witness::What,
};

/// For so long others may begin before one that was due and visible, in microseconds: a worker may hold a few jobs ahead.
const SLACK_US: i64 = 2_500_000;

/// A program's first attempt.
struct Turn<'a> {
    program: &'a str,
    /// From when on it was due, whoever looked.
    due_us: i64,
    /// From when on nobody may overlook it: due, and acknowledged.
    visible_us: i64,
    began_us: i64,
}

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("turns", "nobody is overtaken for long by what was due later");
    for ((_, priority), mut turns) in turns(facts) {
        turns.sort_unstable_by_key(|turn| turn.began_us);
        finding.looked_at += turns.len();
        let mut latest: Option<&Turn<'_>> = None;
        for turn in &turns {
            let overtaken =
                latest.filter(|later| later.due_us - turn.visible_us > SLACK_US && facts.was_calm(turn.visible_us, turn.began_us));
            if let Some(later) = overtaken {
                let ms = (later.due_us - turn.visible_us) / 1000;
                let (first, second) = (turn.program, later.program);
                finding.violated(format!("program {first} of priority {priority} began after {second}, which was due {ms} ms later"));
            }
            latest = latest.filter(|later| later.due_us >= turn.due_us).or(Some(turn));
        }
    }
    finding
}

/// The first attempts of each kind and priority, of programs that wait for no key and that no worker was lost with. What a breaker holds
/// it holds for all of its kind alike, and its probes are the first in line.
fn turns(facts: &Facts) -> HashMap<(Played, i16), Vec<Turn<'_>>> {
    let mut began: HashMap<i64, i64> = HashMap::new();
    for word in facts.words.iter().filter(|word| matches!(word.what, What::Started(_)) && word.attempt == 1) {
        began.entry(word.job).or_insert(word.at_us);
    }
    let has_lane = |program: &Program| matches!(program.played, Played::Alone | Played::Calling);
    let is_plain = |program: &&Program| program.limit.is_none() && program.manner == Manner::Yields && has_lane(program);
    let mut turns: HashMap<(Played, i16), Vec<Turn<'_>>> = HashMap::new();
    for intent in &facts.intents {
        let Some(ack) = facts.acks.get(&intent.programs[0].key) else { continue };
        for program in intent.programs.iter().filter(is_plain) {
            let Some(job) = facts.job_of(&program.key) else { continue };
            let void = facts.attempts_of(job.id).first().is_none_or(|attempt| attempt.attempt == 1 && attempt.is_void());
            let Some(began_us) = began.get(&job.id).copied().filter(|_| !void) else { continue };
            let due_us = intent.at_us + program.delay_ms as i64 * 1000;
            let turn = Turn { program: &program.key, due_us, visible_us: due_us.max(ack.at_us), began_us };
            turns.entry((program.played, program.priority)).or_default().push(turn);
        }
    }
    turns
}
