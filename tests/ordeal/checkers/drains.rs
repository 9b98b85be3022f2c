//! A part of I13: a worker that was told to stop, and that nobody harmed, no job of its own either, loses nothing.

use super::Finding;
use crate::{
    facts::Facts,
    process::{
        Life,
        child::{GRACE, LEASE},
    },
    program::{Act, Played, Program},
    witness::Word,
};

/// For so long a fault is felt that was over before it was told, in microseconds: a connection that died silently is given up
/// after five leases without an answer.
const BEFORE_US: i64 = 6 * LEASE.as_micros() as i64;

/// Results that are not recorded in this time are given up, on a machine under load too. One that ended sooner after its last
/// handler had given up none.
const FLUSHED_US: i64 = GRACE.as_micros() as i64 - 100_000;

pub(super) fn check(facts: &Facts, finding: &mut Finding) {
    for term in facts.lives.iter().filter(|life| life.what == "TERM" && life.role.starts_with("worker")) {
        if !is_orderly(facts, term) {
            continue;
        }
        let of_process = |id: i64| facts.workers.iter().any(|worker| worker.id == id && worker.pid == Some(i64::from(term.pid)));
        let lost = facts
            .attempts
            .values()
            .flatten()
            .filter(|attempt| attempt.outcome == "lost" && attempt.finished_at > term.at && attempt.worker_id.is_some_and(of_process));
        let jobs: Vec<i64> = lost.map(|attempt| attempt.job_id).collect();
        finding.holds(jobs.is_empty(), || format!("worker process {} drained in good order and lost the jobs {jobs:?}", term.pid));
    }
}

/// Whether nothing kept a worker from what it owes when it is told to stop.
fn is_orderly(facts: &Facts, term: &Life) -> bool {
    let of_process = || facts.lives.iter().filter(|life| life.pid == term.pid);
    let is_harm = |life: &Life| matches!(life.what.as_str(), "armed" | "KILL" | "STOP" | "CUT");
    let said = || facts.words.iter().filter(|word| word.pid == term.pid);
    if of_process().any(is_harm) || said().any(|word| is_of_killer(facts, word)) {
        return false;
    }
    let Some(ended) = of_process().find(|life| life.what == "found dead" && life.at_us >= term.at_us) else { return false };
    let (pid, last_us) = (Some(i64::from(term.pid)), said().map(|word| word.at_us).max().unwrap_or(i64::MIN));
    let flushed = ended.at_us - last_us.max(term.at_us) < FLUSHED_US;
    // One that was starved until others took it for dead has lost what it held to them.
    let outlived = facts.workers.iter().any(|worker| worker.pid == pid && worker.dead_at.is_some_and(|dead| dead <= ended.at));
    flushed && !outlived && !facts.was_away(term.at_us - BEFORE_US, ended.at_us)
}

/// Whether a word is of a program that kills its worker.
fn is_of_killer(facts: &Facts, word: &Word) -> bool {
    let kills = |program: &Program| program.played != Played::Apart && program.acts.iter().any(|act| matches!(act, Act::Die(_)));
    facts.programs.get(&word.program).is_some_and(kills)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkers::made::{attempt, fault, life, wall, word},
        facts::{Attempt, Worker},
        witness::What,
    };

    /// A worker that was told to stop at 20 s, said its last word at 20.2 s, ended by 20.5 s, and lost a job.
    fn drained() -> Facts {
        let lost = Attempt { worker_id: Some(3), started_at: wall(19_900), finished_at: wall(23_000), ..attempt(5, 1, "lost") };
        Facts {
            lives: vec![life(1_000, 7, "started"), life(20_000, 7, "TERM"), life(20_500, 7, "found dead")],
            words: vec![word(20_200, 7, 4, "p", What::Ended)],
            workers: vec![Worker { id: 3, pid: Some(7), dead_at: Some(wall(22_500)), lease_until: wall(22_100) }],
            attempts: [(5, vec![lost])].into(),
            ..Facts::default()
        }
    }

    /// How much was looked at, and how much found.
    fn judged(facts: &Facts) -> (usize, usize) {
        let mut finding = Finding::new("I13", "");
        check(facts, &mut finding);
        (finding.looked_at, finding.violations.len())
    }

    #[test]
    fn a_worker_that_drains_in_calm_loses_nothing() {
        assert_eq!(judged(&drained()), (1, 1));
        let kept = Facts { attempts: [(5, vec![attempt(5, 1, "released")])].into(), ..drained() };
        assert_eq!(judged(&kept), (1, 0));
    }

    #[test]
    fn what_may_have_kept_it_from_its_last_words_excuses_it() {
        let lives = |more| Facts { lives: [drained().lives, vec![more]].concat(), ..drained() };
        for harm in ["armed", "KILL", "STOP", "CUT"] {
            assert_eq!(judged(&lives(life(2_000, 7, harm))), (0, 0), "{harm}");
            assert_eq!(judged(&lives(life(2_000, 8, harm))), (1, 1), "{harm} of another");
        }
        let faults = |end_ms| Facts { faults: vec![fault("network", 5_000, end_ms, "silent")], ..drained() };
        assert_eq!(judged(&faults(9_000)), (0, 0));
        assert_eq!(judged(&faults(7_900)), (1, 1), "it was over long before");
        let slow = Facts { words: Vec::new(), lives: vec![life(20_000, 7, "TERM"), life(21_450, 7, "found dead")], ..drained() };
        assert_eq!(judged(&slow), (0, 0), "its results may have been given up");
        let starved = Worker { id: 3, pid: Some(7), dead_at: Some(wall(20_100)), lease_until: wall(20_000) };
        assert_eq!(judged(&Facts { workers: vec![starved], ..drained() }), (0, 0));
    }
}
