//! I13: after everything is healed every process answers; and no worker that nobody harmed is taken for dead.

use chrono::TimeDelta;

use super::Finding;
use crate::{
    facts::Facts,
    faults::{Class, partition},
    process::child::LEASE,
    program::Act,
    witness::Word,
};

/// For so long after it was told to stop a worker may still be at work, in microseconds.
const DRAINING_US: i64 = 30_000_000;

/// And for so long one that was cut off may have been waited for.
const RETURNING_US: i64 = partition::PATIENCE.as_micros() as i64;

/// For so long after the network is back what it cut off is found out.
const AFTERMATH: TimeDelta = TimeDelta::seconds(30);

/// A machine under load may starve a process for a lease and longer: so many verdicts on the living prove nothing yet.
const BY_CHANCE: usize = 2;

/// What two clocks of one machine may differ by.
const TOLERANCE: TimeDelta = TimeDelta::milliseconds(60);

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I13", "every process answers after the last heal, and only the harmed are taken for dead");
    finding.looks();
    finding.violations.extend(facts.observed.silent.iter().cloned());
    let mut unharmed = Vec::new();
    for worker in facts.workers.iter().filter(|worker| worker.dead_at.is_some() && !worker.gone) {
        finding.looks();
        let harmed = facts.lives.iter().any(|life| Some(i64::from(life.pid)) == worker.pid && life.what != "started");
        // A network that is silent for a lease and longer harms whoever is behind it.
        let cut_off = facts.faults.iter().any(|fault| {
            let between = matches!(fault.class.parse(), Ok(Class::Network | Class::LostReply | Class::Pooler));
            between && worker.dead_at.is_some_and(|dead| dead >= fault.begin && dead < fault.end + AFTERMATH)
        });
        if !harmed && !cut_off {
            unharmed.push(worker.id);
        }
    }
    drains(facts, &mut finding);
    returns(facts, &mut finding);
    hasty_verdicts(facts, &mut finding);
    if unharmed.len() > BY_CHANCE {
        finding.violated(format!("workers {unharmed:?} were declared dead, and nobody had harmed them"));
    }
    finding
}

/// After the server was away every lease has run out, which proves nothing: nobody is declared dead before somebody has
/// watched for a whole lease since the server's start.
fn hasty_verdicts(facts: &Facts, finding: &mut Finding) {
    let lease = TimeDelta::milliseconds(LEASE.as_millis() as i64);
    for start in &facts.starts {
        let hasty =
            facts.workers.iter().find(|worker| worker.dead_at.is_some_and(|dead| dead >= *start && dead + TOLERANCE < *start + lease));
        finding.holds(hasty.is_none(), || {
            format!("the server started at {start}, and a worker was dead before a lease had passed: {hasty:?}")
        });
    }
}

const fn is_deadly(act: &Act) -> bool {
    matches!(act, Act::Die(_))
}

/// A worker that was told to stop, and that nobody harmed, no job of its own either, loses nothing: unless the server was
/// away meanwhile.
fn drains(facts: &Facts, finding: &mut Finding) {
    for term in facts.lives.iter().filter(|life| life.what == "TERM" && life.role.starts_with("worker")) {
        let of_pid = |what: &str| facts.lives.iter().any(|life| life.pid == term.pid && life.what == what);
        let armed = ["armed", "KILL", "STOP", "CUT"].into_iter().any(of_pid);
        let outage = was_away(facts, term.at_us - DRAINING_US, term.at_us + DRAINING_US);
        let kills = |word: &Word| facts.programs.get(&word.program).is_some_and(|program| program.acts.iter().any(is_deadly));
        let killed = facts.words.iter().any(|word| word.pid == term.pid && kills(word));
        if armed || outage || killed {
            continue;
        }
        finding.looks();
        let workers: Vec<i64> =
            facts.workers.iter().filter(|worker| worker.pid == Some(i64::from(term.pid))).map(|worker| worker.id).collect();
        let lost = facts.attempts.values().flatten().filter(|attempt| {
            attempt.outcome == "lost" && attempt.worker_id.is_some_and(|id| workers.contains(&id)) && attempt.finished_at > term.at
        });
        let jobs: Vec<i64> = lost.map(|attempt| attempt.job_id).collect();
        if !jobs.is_empty() {
            finding.violated(format!("worker process {} drained in good order and lost the jobs {jobs:?}", term.pid));
        }
    }
}

/// A worker that was cut off is heard of again, unless the server was away meanwhile.
fn returns(facts: &Facts, finding: &mut Finding) {
    for life in facts.lives.iter().filter(|life| matches!(life.what.as_str(), "BACK" | "SILENT")) {
        let came = life.what == "BACK" || was_away(facts, life.at_us - RETURNING_US, life.at_us);
        finding.holds(came, || format!("worker process {} was cut off, and not heard of again when its wire was mended", life.pid));
    }
}

/// Whether the server, or the way to it, was struck within a span.
fn was_away(facts: &Facts, from_us: i64, to_us: i64) -> bool {
    let of_server = |class: &str| class.parse::<Class>().is_ok_and(Class::is_of_server);
    facts.faults.iter().any(|fault| of_server(&fault.class) && fault.begin_us < to_us && fault.end_us > from_us)
}
