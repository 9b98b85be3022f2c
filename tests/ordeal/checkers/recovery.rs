//! I13: after everything is healed every process answers; no worker that nobody harmed is taken for dead, or loses anything
//! when it is told to stop.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Finding, drains};
use crate::{
    facts::{Facts, Worker},
    faults::{Class, partition},
    process::child::LEASE,
};

/// For so long one that was cut off may have been waited for, in microseconds.
const RETURNING_US: i64 = partition::PATIENCE.as_micros() as i64;

/// How long a lease lasts.
const LEASE_TIME: TimeDelta = TimeDelta::milliseconds(LEASE.as_millis() as i64);

/// For a few leases after it is over harm may be felt: connections are found out to be dead, and made anew.
const AFTERMATH: TimeDelta = TimeDelta::milliseconds(3 * LEASE.as_millis() as i64);

/// A machine under load may starve a process for a lease and longer: so many verdicts on the living prove nothing yet.
const BY_CHANCE: usize = 2;

/// What two clocks of one machine may differ by.
const TOLERANCE: TimeDelta = TimeDelta::milliseconds(60);

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I13", "every process answers after the last heal, and only the harmed are taken for dead");
    finding.looks();
    finding.violations.extend(facts.observed.silent.iter().cloned());
    verdicts(facts, &mut finding);
    drains::check(facts, &mut finding);
    returns(facts, &mut finding);
    hasty_verdicts(facts, &mut finding);
    finding
}

/// Only those are declared dead that were harmed.
fn verdicts(facts: &Facts, finding: &mut Finding) {
    let mut unharmed = Vec::new();
    for worker in &facts.workers {
        let Some(verdict) = worker.dead_at else { continue };
        finding.looks();
        if !was_harmed(facts, worker, verdict) && !was_out_of_reach(facts, worker, verdict) {
            unharmed.push(worker.id);
        }
    }
    if unharmed.len() > BY_CHANCE {
        finding.violated(format!("workers {unharmed:?} were declared dead, and nobody had harmed them"));
    }
}

/// Whether the worker's process was harmed when it was heard of last, or later, and before the verdict. What it has renewed its
/// lease after is no excuse, nor what befell it afterwards.
fn was_harmed(facts: &Facts, worker: &Worker, verdict: DateTime<Utc>) -> bool {
    let Some(pid) = worker.pid else { return false };
    let heard = worker.lease_until - LEASE_TIME;
    let felt = facts.harms(pid).iter().any(|harm| {
        let was_over = harm.until.is_some_and(|until| until + AFTERMATH < heard);
        harm.from <= verdict + TOLERANCE && !was_over
    });
    felt || died_unseen(facts, worker, pid)
}

/// Whether the process died without a fault's doing, as a job may have it do, and nobody looked until after the verdict: one that is
/// wrongly taken for dead begins anew.
fn died_unseen(facts: &Facts, worker: &Worker, pid: i64) -> bool {
    let begins_anew = facts.workers.iter().any(|other| other.pid == Some(pid) && other.id > worker.id);
    !begins_anew && facts.lives.iter().any(|life| i64::from(life.pid) == pid && life.what == "found dead")
}

/// Whether the server, or the way to it, was struck between the worker's last word and the verdict, or not long before.
fn was_out_of_reach(facts: &Facts, worker: &Worker, verdict: DateTime<Utc>) -> bool {
    let heard = worker.lease_until - LEASE_TIME;
    facts.faults.iter().any(|fault| {
        let around = fault.begin <= verdict + TOLERANCE && fault.end + AFTERMATH >= heard;
        around && fault.struck(Class::is_of_server)
    })
}

/// After the server was away every lease has run out, which proves nothing: nobody is declared dead before somebody has
/// watched for a whole lease since the server's start.
fn hasty_verdicts(facts: &Facts, finding: &mut Finding) {
    for start in &facts.starts {
        let is_hasty = |dead: DateTime<Utc>| dead >= *start && dead + TOLERANCE < *start + LEASE_TIME;
        let hasty = facts.workers.iter().find(|worker| worker.dead_at.is_some_and(is_hasty));
        finding.holds(hasty.is_none(), || {
            format!("the server started at {start}, and a worker was dead before a lease had passed: {hasty:?}")
        });
    }
}

/// A worker that was cut off is heard of again, unless the server was away meanwhile.
fn returns(facts: &Facts, finding: &mut Finding) {
    for life in facts.lives.iter().filter(|life| matches!(life.what.as_str(), "BACK" | "SILENT")) {
        let came = life.what == "BACK" || facts.was_away(life.at_us - RETURNING_US, life.at_us);
        finding.holds(came, || format!("worker process {} was cut off, and not heard of again when its wire was mended", life.pid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkers::made::{fault, life, wall},
        faults::NOTHING,
        process::Life,
    };

    /// A worker of process 7 that was heard of last at 10 s, and declared dead at 13 s.
    fn dead(id: i64) -> Worker {
        Worker { id, pid: Some(7), dead_at: Some(wall(13_000)), lease_until: wall(10_000) + LEASE_TIME }
    }

    /// How many workers are declared dead without anybody's harm.
    fn unharmed(lives: Vec<Life>) -> usize {
        let facts = Facts { lives, workers: vec![dead(1), dead(2), dead(3)], ..Facts::default() };
        facts.workers.iter().filter(|worker| !was_harmed(&facts, worker, wall(13_000))).count()
    }

    #[test]
    fn harm_is_what_came_before_the_verdict_and_was_not_over_long_before() {
        assert_eq!(unharmed(vec![life(0, 7, "started")]), 3);
        assert_eq!(unharmed(vec![life(0, 7, "armed")]), 0);
        assert_eq!(unharmed(vec![life(11_000, 7, "KILL")]), 0);
        assert_eq!(unharmed(vec![life(14_000, 7, "KILL")]), 3, "after the verdict");
        assert_eq!(unharmed(vec![life(11_000, 8, "KILL")]), 3, "another process");
        assert_eq!(unharmed(vec![life(10_100, 7, "STOP"), life(13_500, 7, "CONT")]), 0);
        assert_eq!(unharmed(vec![life(1_000, 7, "STOP"), life(2_000, 7, "CONT")]), 3, "it has renewed its lease since");
        assert_eq!(unharmed(vec![life(1_000, 7, "CUT"), life(2_000, 7, "MENDED")]), 0, "not heard of since it was mended");
        assert_eq!(unharmed(vec![life(1_000, 7, "CUT"), life(2_000, 7, "MENDED"), life(3_000, 7, "BACK")]), 3);
    }

    #[test]
    fn a_death_that_is_found_late_excuses_the_process_that_began_nothing_more() {
        assert_eq!(unharmed(vec![life(20_000, 7, "found dead")]), 2, "two of three have begun anew");
        assert_eq!(unharmed(vec![life(12_000, 7, "found dead")]), 0);
    }

    #[test]
    fn a_server_that_was_struck_around_the_verdict_excuses_it_and_a_fault_of_nothing_does_not() {
        let out_of_reach = |class, begin_ms, end_ms, note| {
            let facts = Facts { faults: vec![fault(class, begin_ms, end_ms, note)], ..Facts::default() };
            was_out_of_reach(&facts, &dead(1), wall(13_000))
        };
        assert!(out_of_reach("network", 9_000, 12_000, "silent"));
        assert!(out_of_reach("server-crash", 3_000, 4_500, "back"));
        assert!(!out_of_reach("server-crash", 1_000, 3_900, "back"), "over for more than three leases");
        assert!(!out_of_reach("network", 13_100, 14_000, "silent"), "after the verdict");
        assert!(!out_of_reach("kill", 9_000, 12_000, "process 8"));
        assert!(!out_of_reach("pooler", 9_000, 12_000, NOTHING));
    }

    #[test]
    fn more_verdicts_on_the_unharmed_than_chance_has_are_a_violation() {
        let judged = |workers: Vec<Worker>| {
            let mut finding = Finding::new("I13", "");
            verdicts(&Facts { workers, ..Facts::default() }, &mut finding);
            (finding.looked_at, finding.violations.len())
        };
        assert_eq!(judged(vec![dead(1), dead(2)]), (2, 0));
        assert_eq!(judged(vec![dead(1), dead(2), dead(3)]), (3, 1));
        assert_eq!(judged(vec![Worker { dead_at: None, ..dead(1) }]), (0, 0));
    }
}
