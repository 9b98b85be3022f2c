//! I8: of one limit key no more run at one moment than may; and where a key keeps its order, one job after the other.

use std::collections::{HashMap, HashSet};

use super::Finding;
use crate::{
    facts::Facts,
    kinds::TICK,
    program::{LIMITS, RATE},
    witness::{What, Word},
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

/// What two clocks of one machine may differ by, in microseconds.
const TOLERANCE_US: i64 = 60_000;

/// Of a key with a rate no more are let go in any span than may, whatever strikes: each was counted when its attempt had begun and
/// its handler had not.
fn rate(facts: &Facts, finding: &mut Finding) {
    let (key, most, per_ms) = RATE;
    let counted = counted(facts, key);
    let span_us = per_ms * 1000 - TOLERANCE_US;
    // What took longer than that to begin is in no span.
    finding.looked_at += counted.iter().filter(|(from, to)| to - from < span_us).count();
    let crowd = |from: i64| counted.iter().filter(|(began, let_go)| *began >= from && *let_go <= from + span_us).count();
    let crowded = counted.iter().map(|(from, _)| crowd(*from)).max().unwrap_or(0);
    finding.holds(crowded <= most, || format!("of the key {key} {crowded} were let go in a span of {per_ms} ms, and {most} may be"));
}

/// For each attempt of a key of which it is known: since when, and until when, it may have been counted.
fn counted(facts: &Facts, key: &str) -> Vec<(i64, i64)> {
    let is_of_key = |word: &&Word| facts.programs.get(&word.program).is_some_and(|program| program.limit.as_deref() == Some(key));
    let mut open: HashMap<(i64, i32), i64> = HashMap::new();
    let mut spans = Vec::new();
    for word in facts.words.iter().filter(is_of_key) {
        match word.what {
            What::Started(_) => {
                open.insert((word.job, word.attempt), word.at_us);
            }
            What::Ended => spans.extend(open.remove(&(word.job, word.attempt)).and_then(|let_go| Some((began(facts, word)?, let_go)))),
            _ => (),
        }
    }
    spans
}

/// No attempt began later than its handler's end less the time that it took in all. Of one that commits its own end, and of one
/// that a rescue ended, that time is not known.
fn began(facts: &Facts, ended: &Word) -> Option<i64> {
    let ends_itself = facts.effects.get(&ended.program).is_some_and(|rows| rows.iter().any(|row| row.last));
    let attempt = facts.attempts_of(ended.job).iter().find(|attempt| attempt.attempt == ended.attempt)?;
    let of_worker = matches!(attempt.outcome.as_str(), "completed" | "failed" | "snoozed" | "waiting" | "dead");
    let took_us = (attempt.finished_at - attempt.started_at).num_microseconds()?;
    (of_worker && !ends_itself && attempt.category.as_deref() != Some("poison")).then_some(ended.at_us - took_us)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkers::made::{attempt, program, wall, word},
        facts::Attempt,
        program::Program,
    };

    /// Programs of the key with a rate: when the attempt of each began, when its handler did, and when that ended.
    fn rated(times: &[(i64, i64, i64)]) -> Facts {
        let mut facts = Facts::default();
        for ((began_ms, let_go_ms, ended_ms), job) in times.iter().zip(1..) {
            let program = Program { limit: Some(RATE.0.into()), ..program(&format!("p{job}")) };
            facts.words.push(word(*let_go_ms, 1, job, &program.key, What::Started(0)));
            facts.words.push(word(*ended_ms, 1, job, &program.key, What::Ended));
            // It was recorded a minute later, which changes nothing of how long it took.
            let (started_at, finished_at) = (wall(began_ms + 60_000), wall(ended_ms + 60_000));
            facts.attempts.insert(job, vec![Attempt { started_at, finished_at, ..attempt(job, 1, "completed") }]);
            facts.programs.insert(program.key.clone(), program);
        }
        facts.words.sort_by_key(|word| word.at_us);
        facts
    }

    fn judged(facts: &Facts) -> (usize, usize) {
        let mut finding = Finding::new("I8", "");
        rate(facts, &mut finding);
        (finding.looked_at, finding.violations.len())
    }

    #[test]
    fn more_than_may_in_any_span_are_too_many() {
        assert_eq!(judged(&rated(&[(0, 10, 20), (700, 710, 720), (1400, 1410, 1420), (2100, 2110, 2120)])), (5, 0));
        assert_eq!(judged(&rated(&[(0, 10, 20), (600, 610, 620), (1200, 1210, 1220), (1800, 1810, 1820)])), (5, 1));
    }

    #[test]
    fn what_may_have_been_counted_long_before_its_handler_began_proves_nothing() {
        let late = [(0, 3000, 3010), (2900, 3010, 3020), (2950, 3020, 3030), (3000, 3030, 3040)];
        assert_eq!(judged(&rated(&late)), (4, 0), "three are known to have come at once");
        let mut lost = rated(&[(0, 10, 20), (0, 20, 30), (0, 30, 40), (0, 40, 50)]);
        assert_eq!(judged(&lost), (5, 1));
        lost.attempts.insert(4, vec![attempt(4, 1, "lost")]);
        assert_eq!(judged(&lost), (4, 0), "of one that was given up nobody knows");
    }
}
