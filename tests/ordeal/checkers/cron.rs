//! I10: every occurrence of a schedule, as arithmetic says, made one job of its own.

use std::collections::HashSet;

use super::Finding;
use crate::facts::{Facts, Occurrence};

/// How late the first occurrence may be: schedulers come up while faults strike already.
const LATE: i64 = 40;

pub fn check(facts: &Facts) -> Finding {
    let mut finding = Finding::new("I10", "every occurrence made one job");
    for (schedule, step) in [("ordeal_every_second", 1), ("ordeal_every_third", 3)] {
        let came: Vec<&Occurrence> = facts.occurrences.iter().filter(|occurrence| occurrence.schedule == schedule).collect();
        let times: Vec<i64> = came.iter().map(|occurrence| occurrence.occurrence.timestamp()).collect();
        let (Some(first), Some(last), Some((begun, ended))) = (times.first(), times.last(), facts.observed.cron) else {
            finding.violated(format!("{schedule} never came"));
            continue;
        };
        let oracle: Vec<i64> = (*first..=*last).filter(|second| second % step == 0).collect();
        finding.looked_at += oracle.len();
        if times != oracle {
            let odd: Vec<i64> = oracle.iter().filter(|second| !times.contains(second)).copied().take(5).collect();
            finding.violated(format!("{schedule} came {} times and must {} times; left out {odd:?}", times.len(), oracle.len()));
        }
        for early in came.iter().filter(|occurrence| occurrence.fired_at < occurrence.occurrence) {
            finding.violated(format!("{schedule} fired at {} for {}", early.fired_at, early.occurrence));
        }
        finding.holds(*first <= begun.timestamp() + LATE, || format!("{schedule} came first at {first}, the run began at {begun}"));
        finding.holds(*last >= ended.timestamp() - step - 2, || format!("{schedule} came last at {last}, it was stopped at {ended}"));
    }
    let jobs: Vec<i64> = facts.occurrences.iter().filter_map(|occurrence| occurrence.job_id).collect();
    let distinct: HashSet<&i64> = jobs.iter().collect();
    finding.holds(distinct.len() == facts.occurrences.len(), || {
        format!("{} occurrences have {} jobs, {} of them distinct", facts.occurrences.len(), jobs.len(), distinct.len())
    });
    finding
}
