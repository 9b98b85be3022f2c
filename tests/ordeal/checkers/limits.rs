//! I8: of one limit key no more run at one moment than may; and where a key keeps its order, one job after the other.

use std::collections::{HashMap, HashSet};

use super::Finding;
use crate::{facts::Facts, program::LIMITS, witness::What};

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
    finding
}

/// The counted attempts of each key, in the order of their begin. Of one that commits its own end only the begin is known.
fn runs(facts: &Facts) -> HashMap<&str, Runs> {
    let mut open: HashMap<(i64, i32), i64> = HashMap::new();
    let mut runs: HashMap<&str, Runs> = HashMap::new();
    for word in &facts.words {
        let Some(key) = facts.programs.get(&word.program).and_then(|program| program.limit.as_deref()) else { continue };
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
