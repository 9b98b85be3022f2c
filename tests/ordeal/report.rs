//! What a run came to, in figures.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::Duration,
};

use crate::{
    checkers::Finding,
    coverage::Coverage,
    facts::{Facts, Pause},
    faults::{Class, NOTHING},
    ledger::Fault,
    process::{Life, child::LEASE},
    witness::What,
};

/// The most that one class of faults may have of all faults.
const GREATEST_SHARE: f64 = 0.6;

/// For so long after an outage of the server nobody is declared dead, in microseconds: every lease is watched anew.
const AFTERMATH: i64 = 3 * LEASE.as_micros() as i64;

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

/// How long after something befell its worker a job was given back, and its next attempt begun.
struct Again {
    given_back: Duration,
    begun: Duration,
}

impl Again {
    /// Each job that a worker lost when something befell it. What the server's faults and its hanging sessions hold up is theirs.
    fn of(facts: &Facts, what: &str) -> Vec<Self> {
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
                let calm = !outages.iter().any(|fault| fault.begin_us < again_us && blow.at_us < fault.end_us + AFTERMATH);
                // One that was lost to a pause before is not the blow's.
                let begun = Duration::from_micros(u64::try_from(again_us - blow.at_us).ok().filter(|us| calm && *us > 0)?);
                Some(Self { given_back: (lost.finished_at - blow.at).to_std().ok()?, begun })
            })
            .collect()
    }
}

fn in_order(again: &[Again], what: impl Fn(&Again) -> Duration) -> Vec<Duration> {
    let mut times: Vec<Duration> = again.iter().map(what).collect();
    times.sort_unstable();
    times
}

fn is_first_loss(facts: &Facts, job: i64, number: i32) -> bool {
    facts.attempts_of(job).iter().all(|attempt| attempt.outcome != "lost" || attempt.attempt >= number)
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
