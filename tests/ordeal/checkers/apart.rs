//! apart: a job's own process ends with its attempt and with its worker, and does nothing more.

use std::collections::HashMap;

use super::Finding;
use crate::{facts::Facts, process::Life, program::Played, witness::Word};

/// How much later than its end a process may still be seen to act, in microseconds: until it hears that its worker is gone, and
/// until the clocks of two processes are compared.
const LATER_US: i64 = 1_000_000;

/// `None`: no process of its own did anything.
pub fn check(facts: &Facts) -> Option<Finding> {
    let is_apart = |word: &&Word| facts.programs.get(&word.program).is_some_and(|program| program.played == Played::Apart);
    let mut finding = Finding::new("apart", "a job's own process ends with its attempt and with its worker");
    let mut lives: HashMap<u32, Vec<&Life>> = HashMap::new();
    for life in &facts.lives {
        lives.entry(life.pid).or_default().push(life);
    }
    for word in facts.words.iter().filter(is_apart) {
        let died_us = lives.get(&word.pid).and_then(|lives| death(lives, word.at_us));
        finding.holds(died_us.is_none_or(|died_us| word.at_us <= died_us + LATER_US), || {
            format!("the process of job {} did {:?} after its worker {} had died", word.job, word.what, word.pid)
        });
        let ended = facts.attempts_of(word.job).iter().find(|attempt| attempt.attempt == word.attempt);
        let ended_us = ended.and_then(|attempt| facts.by_the_clock_of_all(attempt.finished_at));
        finding.holds(ended_us.is_none_or(|ended_us| word.at_us <= ended_us + LATER_US), || {
            format!("the process of job {} did {:?} after attempt {} had ended", word.job, word.what, word.attempt)
        });
    }
    (finding.looked_at > 0).then_some(finding)
}

/// When the process of this number that lived at a moment, or before it, died.
fn death(lives: &[&Life], at_us: i64) -> Option<i64> {
    let began_us =
        lives.iter().filter(|life| life.what == "started" && life.at_us <= at_us).map(|life| life.at_us).max().unwrap_or(i64::MIN);
    let died = lives.iter().filter(|life| matches!(life.what.as_str(), "KILL" | "found dead") && life.at_us >= began_us);
    died.map(|life| life.at_us).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkers::made::{attempt, life, program, wall, word},
        facts::Attempt,
        program::Program,
        witness::What,
    };

    /// An attempt of a program in a process of its own that ended in this way at 3 s, its last word, and the end of its worker.
    fn facts(outcome: &str, last_word_ms: i64, killed_ms: i64) -> Facts {
        let mut facts = Facts::default();
        facts.programs.insert("a".into(), Program { played: Played::Apart, ..program("a") });
        facts.attempts.insert(5, vec![Attempt { finished_at: wall(3000), ..attempt(5, 1, outcome) }]);
        facts.words.push(word(last_word_ms, 1, 5, "a", What::Outside(0)));
        facts.lives.push(life(killed_ms, 1, "KILL"));
        facts
    }

    fn violations(facts: &Facts) -> usize {
        check(facts).map_or(0, |finding| finding.violations.len())
    }

    #[test]
    fn nothing_is_done_after_the_attempt_or_the_worker() {
        assert_eq!(violations(&facts("completed", 3500, 9000)), 0);
        assert_eq!(violations(&facts("cancelled", 4500, 9000)), 1, "its attempt had ended");
        assert_eq!(violations(&facts("lost", 4500, 9000)), 1, "its worker was stopped, or cut off: it ends before the lease does");
        assert_eq!(violations(&facts("lost", 4500, 3400)), 2, "its worker had died too");
        let mut again = facts("completed", 2500, 1000);
        assert_eq!(violations(&again), 1);
        again.lives.push(life(1500, 1, "started"));
        assert_eq!(violations(&again), 0, "another process has the number of one that died");
        assert!(check(&Facts::default()).is_none(), "nothing was looked at");
    }
}
