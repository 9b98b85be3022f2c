//! How long it takes from where a worker was until somebody else has its jobs.

use std::{collections::HashMap, time::Duration};

use super::Facts;
use crate::{
    faults::{Class, NOTHING},
    ledger::Fault,
    process::{Life, child::LEASE},
    witness::What,
};

/// For so long after an outage of the server nobody is declared dead, in microseconds: every lease is watched anew.
const AFTERMATH: i64 = 3 * LEASE.as_micros() as i64;

/// How long it takes at most until a job is given back, in microseconds, however little the machine has left for it.
const LONGEST: i64 = Again::LONGEST.as_micros() as i64;

/// How long after something befell its worker a job was given back, and its next attempt begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// The job.
    pub job: i64,
    /// Until it was given back.
    pub given_back: Duration,
    /// Until its next attempt began.
    pub begun: Duration,
}

impl Again {
    /// How long it takes at most until a job is given back: its lease, what a silence adds to it, and a few more on a starved machine.
    pub const LONGEST: Duration = LEASE.saturating_mul(10);

    /// Each job that a worker lost when something befell it. What the server's faults and its hanging sessions hold up is theirs.
    pub fn of(facts: &Facts, what: &str) -> Vec<Self> {
        let mut begun: HashMap<(i64, i32), i64> = HashMap::new();
        for word in facts.words.iter().filter(|word| matches!(word.what, What::Started(_))) {
            begun.entry((word.job, word.attempt)).or_insert(word.at_us);
        }
        let mut struck: HashMap<i64, Vec<&Life>> = HashMap::new();
        for life in facts.lives.iter().filter(|life| life.what == what) {
            struck.entry(i64::from(life.pid)).or_default().push(life);
        }
        let pids: HashMap<i64, i64> = facts.workers.iter().filter_map(|worker| Some((worker.id, worker.pid?))).collect();
        let holds_up = |class: &str| class.parse().is_ok_and(|class: Class| class.is_of_server() || class == Class::Hang);
        let outages: Vec<&Fault> = facts.faults.iter().filter(|fault| fault.note != NOTHING && holds_up(&fault.class)).collect();
        let lost = facts.attempts.values().flatten().filter(|attempt| attempt.outcome == "lost");
        lost.filter(|lost| is_first_loss(facts, lost.job_id, lost.attempt))
            .filter_map(|lost| {
                let of_worker = struck.get(pids.get(&lost.worker_id?)?)?;
                let blow = of_worker.iter().rev().find(|life| life.at < lost.finished_at)?;
                let again_us = *begun.get(&(lost.job_id, lost.attempt + 1))?;
                let given_back = lost.finished_at - blow.at;
                // What comes when it should have been given back long ago excuses nothing.
                let in_time_us = blow.at_us + given_back.num_microseconds()?.min(LONGEST);
                let calm = !outages.iter().any(|fault| fault.begin_us < in_time_us && blow.at_us < fault.end_us + AFTERMATH);
                // One that was lost to a pause before is not the blow's.
                let begun = Duration::from_micros(u64::try_from(again_us - blow.at_us).ok().filter(|us| calm && *us > 0)?);
                Some(Self { job: lost.job_id, given_back: given_back.to_std().ok()?, begun })
            })
            .collect()
    }
}

fn is_first_loss(facts: &Facts, job: i64, number: i32) -> bool {
    facts.attempts_of(job).iter().all(|attempt| attempt.outcome != "lost" || attempt.attempt >= number)
}
