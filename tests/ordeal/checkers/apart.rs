//! apart: a job's own process ends with its attempt and with its worker, and does nothing more.

use std::collections::HashMap;

use super::Finding;
use crate::{
    facts::{Attempt, Facts},
    process::{Life, child::LEASE},
    program::Played,
    witness::Word,
};

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
        let stopped_us = lives.get(&word.pid).and_then(|lives| stopped(lives, word.at_us));
        finding.holds(stopped_us.is_none_or(|stopped_us| word.at_us <= stopped_us + LEASE.as_micros() as i64 + LATER_US), || {
            format!("the process of job {} did {:?} a lease after its worker {} had been stopped", word.job, word.what, word.pid)
        });
        // Whoever was declared dead before was stopped by a signal, or cut off: that one cannot end it.
        let by_rescue = |attempt: &&Attempt| {
            let worker = facts.workers.iter().find(|worker| Some(worker.id) == attempt.worker_id);
            attempt.outcome == "lost" || worker.is_some_and(|worker| worker.dead_at.is_some_and(|dead| dead <= attempt.finished_at))
        };
        let ended = facts.attempts_of(word.job).iter().find(|attempt| attempt.attempt == word.attempt && !by_rescue(attempt));
        let ended_us = ended.and_then(|attempt| facts.by_the_clock_of_all(attempt.finished_at));
        finding.holds(ended_us.is_none_or(|ended_us| word.at_us <= ended_us + LATER_US), || {
            format!("the process of job {} did {:?} after attempt {} had ended", word.job, word.what, word.attempt)
        });
    }
    (finding.looked_at > 0).then_some(finding)
}

/// Since when the process of this number was stopped by a signal at a moment.
fn stopped(lives: &[&Life], at_us: i64) -> Option<i64> {
    let last = lives.iter().rfind(|life| life.at_us <= at_us && matches!(life.what.as_str(), "STOP" | "CONT" | "started"))?;
    (last.what == "STOP").then_some(last.at_us)
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
        facts::Worker,
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
        assert_eq!(violations(&facts("lost", 4500, 9000)), 0, "its worker was cut off");
        assert_eq!(violations(&facts("lost", 4500, 3400)), 1, "its worker had died");
        let mut rescued = facts("cancelled", 4500, 9000);
        rescued.workers.push(Worker { id: 1, pid: Some(1), dead_at: Some(wall(2900)), lease_until: wall(2800) });
        assert_eq!(violations(&rescued), 0, "it was cancelled by a rescue, and its worker was cut off");
        let lease_ms = LEASE.as_millis() as i64;
        for (said_ms, found) in [(1000 + lease_ms, 0), (2100 + lease_ms, 1), (3100 + lease_ms, 0)] {
            let mut stopped = facts("lost", said_ms, 90_000);
            stopped.lives.splice(0..0, [life(1000, 1, "STOP"), life(3000 + lease_ms, 1, "CONT")]);
            assert_eq!(violations(&stopped), found, "said {said_ms} ms after the start");
        }
        let mut again = facts("completed", 2500, 1000);
        assert_eq!(violations(&again), 1);
        again.lives.push(life(1500, 1, "started"));
        assert_eq!(violations(&again), 0, "another process has the number of one that died");
        assert!(check(&Facts::default()).is_none(), "nothing was looked at");
    }
}
