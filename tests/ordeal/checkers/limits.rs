//! I8: of one limit key no more run at one moment than may; and where a key keeps its order, one job after the other.

use std::collections::{HashMap, HashSet};

use super::Finding;
use crate::{
    facts::Facts,
    kinds::TICK,
    program::{LIMITS, RATE},
    witness::What,
};

/// What ran from when to when, by the clock of all: begin, end, job.
type Runs = Vec<(i64, i64, i64)>;

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I8", "limits are never exceeded in true overlap");
    let mut of_key = runs(facts);
    for (key, cap, in_order) in LIMITS {
        let runs = of_key.remove(key).unwrap_or_default();
        let mut edges: Vec<(i64, i32)> = runs.iter().flat_map(|(begin, end, _)| [(*begin, 1), (*end, -1)]).collect();
        // One that ends at the moment at which another begins makes room for it.
        edges.sort_unstable();
        let (mut now, mut most) = (0, 0);
        for (_, step) in edges {
            now += step;
            most = most.max(now);
        }
        finding.looked_at += runs.len();
        finding.holds(most <= cap, || format!("of the key {key} {most} ran at one moment, and {cap} may"));
        if in_order {
            let mut turns: Vec<i64> = runs.iter().map(|(_, _, job)| *job).collect();
            turns.dedup();
            let jobs = turns.iter().collect::<HashSet<_>>().len();
            finding.holds(jobs == turns.len(), || format!("jobs of the key {key}, which keeps its order, ran in turns: {turns:?}"));
        }
    }
    // One tick runs at a time, in the whole fleet.
    let ticks = of_key.remove(TICK).unwrap_or_default();
    finding.looked_at += ticks.len();
    let beside = ticks.windows(2).find(|pair| pair[0].1 > pair[1].0);
    finding.holds(beside.is_none(), || format!("two jobs ran at one moment of a kind that may run alone: {beside:?}"));
    rate(facts, &mut finding);
    finding
}

/// How long after it was counted against its rate a handler may begin, on a machine under load.
const LATE_US: i64 = 1_500_000;

/// A fault may hold up for so long what was counted before it.
const BEFORE_US: i64 = 8_000_000;

/// Of a key with a rate no more begin in any span than may. Each is counted by the database a moment before it begins.
fn rate(facts: &Facts, finding: &mut Finding) {
    let (key, most, per_ms) = RATE;
    let of_key = |program: &str| facts.programs.get(program).is_some_and(|program| program.limit.as_deref() == Some(key));
    let begun = facts.words.iter().filter(|word| matches!(word.what, What::Started(_)) && of_key(&word.program));
    let begun: Vec<i64> = begun.map(|word| word.at_us).collect();
    finding.looked_at += begun.len();
    // So many cannot all be of the last spans, however late each began.
    let too_many = 2 * most + 1;
    let is_calm = |from: i64, to: i64| !facts.faults.iter().any(|fault| fault.begin_us < to && fault.end_us > from - BEFORE_US);
    let crowd = begun.windows(too_many).find(|crowd| {
        let (first, last) = (crowd[0], crowd[too_many - 1]);
        last - first < 2 * per_ms * 1000 - LATE_US && is_calm(first, last)
    });
    finding
        .holds(crowd.is_none(), || format!("of the key {key} {too_many} began at once, from {crowd:?} on, and {most} may in {per_ms} ms"));
}

/// The counted attempts of each key, in the order of their begin. Of one that commits its own end only the begin is known.
fn runs(facts: &Facts) -> HashMap<&str, Runs> {
    let mut open: HashMap<(i64, i32), i64> = HashMap::new();
    let mut runs: HashMap<&str, Runs> = HashMap::new();
    for word in &facts.words {
        let limit = facts.programs.get(&word.program).and_then(|program| program.limit.as_deref());
        let Some(key) = limit.or_else(|| (word.program == TICK).then_some(TICK)) else { continue };
        match word.what {
            What::Started(_) => {
                open.insert((word.job, word.attempt), word.at_us);
            }
            What::Ended => {
                let counted = facts.attempts_of(word.job).iter().any(|attempt| attempt.attempt == word.attempt && !attempt.is_void());
                if let Some(begin) = open.remove(&(word.job, word.attempt)).filter(|_| counted) {
                    let ends_itself = facts.effects.get(&word.program).is_some_and(|rows| rows.iter().any(|row| row.last));
                    runs.entry(key).or_default().push((begin, if ends_itself { begin } else { word.at_us }, word.job));
                }
            }
            _ => (),
        }
    }
    for runs in runs.values_mut() {
        runs.sort_unstable();
    }
    runs
}
