//! I9: where a key keeps its order, what was acknowledged before another was even meant begins before it.

use std::collections::HashMap;

use super::Finding;
use crate::{
    facts::Facts,
    program::{LIMITS, Manner},
    witness::What,
};

/// One program of a key: when it was meant, when it was acknowledged, when it began.
struct Turn<'a> {
    program: &'a str,
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
        for (place, earlier) in turns.iter().enumerate() {
            let overtaken = turns[place + 1..].iter().find(|later| later.acknowledged_us < earlier.meant_us);
            if let Some(overtaken) = overtaken {
                let (first, second) = (earlier.program, overtaken.program);
                finding.violated(format!("program {first} of the key {key} overtook {second}, which was acknowledged before it was meant"));
            }
        }
    }
    finding
}

/// The programs of a key that began, but for those that waited for a time of their own first.
fn turns<'a>(facts: &'a Facts, key: &str) -> Vec<Turn<'a>> {
    let mut began: HashMap<&str, i64> = HashMap::new();
    for word in facts.words.iter().filter(|word| matches!(word.what, What::Started(_))) {
        began.entry(&word.program).or_insert(word.at_us);
    }
    let mut turns = Vec::new();
    for intent in &facts.intents {
        let Some(ack) = facts.acks.get(&intent.programs[0].key) else { continue };
        for program in intent
            .programs
            .iter()
            .filter(|program| program.limit.as_deref() == Some(key) && program.delay_ms == 0 && program.manner != Manner::Debounces)
        {
            let Some(began_us) = began.get(program.key.as_str()).copied() else { continue };
            turns.push(Turn { program: &program.key, meant_us: intent.at_us, acknowledged_us: ack.at_us, began_us });
        }
    }
    turns
}
