//! What a run came to, in figures.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{
    checkers::Finding,
    coverage::Coverage,
    facts::{Again, Facts, Pause},
    faults::{Class, NOTHING},
    witness::What,
};

/// The most that one class of faults may have of all faults.
const GREATEST_SHARE: f64 = 0.6;

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Jobs that ended.
    pub jobs: usize,
    /// Attempts that ended.
    pub attempts: usize,
    /// Faults, by class.
    pub faults: BTreeMap<String, usize>,
    /// Workers that lived in namespaces of their own: where there were none, nothing could be partitioned.
    pub apart: usize,
    /// Processes that were stopped past their lease, or cut off, and went on.
    pub zombies: usize,
    /// Writes that were refused because the attempt was somebody else's.
    pub refused: usize,
    /// Effects outside that were done again, all of them after an attempt that counted for nothing.
    pub repeated: usize,
    /// Effects outside.
    pub outside: usize,
    /// From the kill of a worker to the next attempt of each job that it lost then, in order. Only kills while the server
    /// was well, and jobs lost for the first time: suspects wait on purpose.
    pub recoveries: Vec<Duration>,
    /// From the same kills until each of these jobs was given back, in order.
    pub rescues: Vec<Duration>,
    /// From where a worker was cut off from the server to the next attempt of each job that it lost.
    pub regained: Vec<Duration>,
    /// Webhooks that were accepted.
    pub webhooks: usize,
    /// What the checkers found.
    pub findings: Vec<Finding>,
    /// What it touched.
    pub coverage: Coverage,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// The figures of a run.
    pub fn of(facts: &Facts, findings: Vec<Finding>, coverage: Coverage, took: Duration) -> Self {
        let mut faults = BTreeMap::new();
        for fault in facts.faults.iter().filter(|fault| fault.note != NOTHING) {
            *faults.entry(fault.class.clone()).or_default() += 1;
        }
        let outside: Vec<(i64, usize)> = facts
            .words
            .iter()
            .filter_map(|word| match word.what {
                What::Outside(act) => Some((word.job, act)),
                _ => None,
            })
            .collect();
        let killed = Again::of(facts, "KILL");
        let distinct = outside.iter().collect::<std::collections::HashSet<_>>().len();
        Self {
            seed: facts.seed,
            jobs: facts.jobs.iter().filter(|job| facts.end_of(job.id).is_some()).count(),
            attempts: facts.attempts.values().map(Vec::len).sum(),
            faults,
            apart: facts.apart,
            zombies: Pause::of(&facts.lives).iter().filter(|pause| pause.is_past_lease).count(),
            refused: facts.words.iter().filter(|word| word.what == What::Refused).count(),
            repeated: outside.len() - distinct,
            outside: outside.len(),
            recoveries: in_order(&killed, |again| again.begun),
            rescues: in_order(&killed, |again| again.given_back),
            regained: in_order(&Again::of(facts, "CUT"), |again| again.begun),
            webhooks: facts.accepted.len(),
            findings,
            coverage,
            took,
        }
    }

    /// Whether no invariant was violated.
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.violations.is_empty())
    }

    /// How many faults there were.
    pub fn faults(&self) -> usize {
        self.faults.values().sum()
    }

    /// How often a class struck, in words.
    fn times(&self, class: Class) -> String {
        match self.faults.get(class.as_str()) {
            None if class == Class::Partition && self.apart == 0 => format!("{class} without namespaces"),
            times => format!("{class} {}", times.copied().unwrap_or(0)),
        }
    }

    /// The class that had more than its share of the faults, if one had: then the draw is not what it should be.
    pub fn greedy(&self) -> Option<&str> {
        let most = self.faults.iter().max_by_key(|(_, times)| **times)?;
        (self.faults() > 10 && *most.1 as f64 > GREATEST_SHARE * self.faults() as f64).then_some(most.0)
    }
}

/// The time that so large a share of all, which are in order, was faster than.
fn quantile(times: &[Duration], share: f64) -> Option<Duration> {
    let place = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len().max(1)) - 1;
    times.get(place).copied()
}

fn in_order(again: &[Again], what: impl Fn(&Again) -> Duration) -> Vec<Duration> {
    let mut times: Vec<Duration> = again.iter().map(what).collect();
    times.sort_unstable();
    times
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {} jobs, {} attempts, {} webhooks in {:.0?}", self.seed, self.jobs, self.attempts, self.webhooks, self.took)?;
        let classes: Vec<String> = Class::ALL.iter().map(|class| self.times(*class)).collect();
        writeln!(
            f,
            "  faults: {} ({}); {} zombies, {} late writes refused",
            self.faults(),
            classes.join(", "),
            self.zombies,
            self.refused
        )?;
        writeln!(f, "  effects outside: {}, {} of them again", self.outside, self.repeated)?;
        let spans = [
            ("kill -9 to where it is given back", &self.rescues),
            ("kill -9 to the next attempt", &self.recoveries),
            ("cut off to the next attempt", &self.regained),
        ];
        for (from, times) in spans {
            let at = |share| quantile(times, share);
            if let (Some(middle), Some(high), Some(most)) = (at(0.5), at(0.99), at(1.0)) {
                writeln!(f, "  from {from}: {} jobs, p50 {middle:.1?}, p99 {high:.1?}, max {most:.1?}", times.len())?;
            }
        }
        for finding in &self.findings {
            let verdict = if finding.violations.is_empty() { "ok  " } else { "FAIL" };
            writeln!(f, "  {verdict} {:<6} {} ({} looked at)", finding.id, finding.rule, finding.looked_at)?;
            for violation in finding.violations.iter().take(10) {
                writeln!(f, "         {violation}")?;
            }
            if finding.violations.len() > 10 {
                writeln!(f, "         and {} more", finding.violations.len() - 10)?;
            }
        }
        Ok(())
    }
}
