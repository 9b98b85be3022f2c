//! I7: of one unique key one job lives. Two jobs of one key never run at one moment.

use std::collections::{HashMap, HashSet};

use super::Finding;
use crate::{facts::Facts, program::DEBOUNCED, witness::What};

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I7", "of one unique key one job lives");
    let keys: HashMap<i64, &str> = facts.jobs.iter().filter_map(|job| Some((job.id, job.unique_key.as_deref()?))).collect();
    let mut runs: HashMap<&str, Vec<(i64, i64, i64)>> = HashMap::new();
    let mut open: HashMap<(i64, i32), i64> = HashMap::new();
    for word in &facts.words {
        let Some(key) = keys.get(&word.job) else { continue };
        match word.what {
            What::Started(_) => {
                open.insert((word.job, word.attempt), word.at_us);
            }
            What::Ended => {
                let counted = facts.attempts_of(word.job).iter().any(|attempt| attempt.attempt == word.attempt && !attempt.is_void());
                if let Some(began) = open.remove(&(word.job, word.attempt)).filter(|_| counted) {
                    // One that commits its own end has given up the key before it returns: of its end only the begin is known.
                    let own_end = job_ends_itself(facts, word.job);
                    runs.entry(key).or_default().push((began, if own_end { began } else { word.at_us }, word.job));
                }
            }
            _ => (),
        }
    }
    // One that waits for others takes the key of one that runs.
    runs.retain(|key, _| !key.starts_with(DEBOUNCED));
    for (key, mut runs) in runs {
        runs.sort_unstable();
        let mut turns: Vec<i64> = runs.iter().map(|(_, _, job)| *job).collect();
        turns.dedup();
        let jobs = turns.iter().collect::<HashSet<_>>().len();
        finding.holds(jobs == turns.len(), || format!("jobs of the key {key} ran in turns, so that two lived at one moment: {turns:?}"));
        for pair in runs.windows(2) {
            let apart = pair[0].2 == pair[1].2 || pair[0].1 <= pair[1].0;
            finding.holds(apart, || format!("jobs {} and {} of the key {key} ran at one moment", pair[0].2, pair[1].2));
        }
    }
    finding
}

fn job_ends_itself(facts: &Facts, job: i64) -> bool {
    let key = facts.words.iter().find(|word| word.job == job).map(|word| word.program.as_str());
    key.and_then(|key| facts.effects.get(key)).is_some_and(|rows| rows.iter().any(|row| row.last))
}
