//! What runs add up to.

use std::collections::BTreeMap;

use super::{Judged, Ran};
use crate::coverage::Coverage;

/// The sum of runs.
#[derive(Default)]
pub struct Figures {
    pub runs: usize,
    pub failed: usize,
    /// Runs in which something has not ended: of these only the time and what the checkers found is summed up.
    pub undrained: usize,
    pub jobs: usize,
    pub attempts: usize,
    pub webhooks: usize,
    pub faults: BTreeMap<String, usize>,
    pub zombies: usize,
    pub refused: usize,
    pub repeated: usize,
    pub outside: usize,
    /// In order.
    pub recoveries_ms: Vec<u64>,
    /// In order.
    pub rescues_ms: Vec<u64>,
    /// In order.
    pub regained_ms: Vec<u64>,
    pub findings: BTreeMap<String, Judged>,
    pub coverage: Coverage,
    pub seconds: f64,
    pub took_s: u64,
}

impl Figures {
    pub fn of<'a>(runs: impl IntoIterator<Item = &'a Ran>) -> Self {
        let mut figures = Self::default();
        runs.into_iter().for_each(|ran| figures.add(ran));
        figures.recoveries_ms.sort_unstable();
        figures.rescues_ms.sort_unstable();
        figures.regained_ms.sort_unstable();
        figures
    }

    fn add(&mut self, ran: &Ran) {
        self.runs += 1;
        self.failed += usize::from(!ran.is_clean());
        self.took_s += ran.took_s;
        for (id, judged) in &ran.findings {
            let sum = self.findings.entry(id.clone()).or_default();
            sum.rule.clone_from(&judged.rule);
            sum.looked_at += judged.looked_at;
            sum.violations += judged.violations;
        }
        if !ran.has_drained() {
            self.undrained += 1;
            return;
        }
        self.jobs += ran.jobs;
        self.attempts += ran.attempts;
        self.webhooks += ran.webhooks;
        for (class, times) in &ran.faults {
            *self.faults.entry(class.clone()).or_default() += times;
        }
        self.zombies += ran.zombies;
        self.refused += ran.refused;
        self.repeated += ran.repeated;
        self.outside += ran.outside;
        self.recoveries_ms.extend(&ran.recoveries_ms);
        self.rescues_ms.extend(&ran.rescues_ms);
        self.regained_ms.extend(&ran.regained_ms);
        self.coverage.add(&ran.coverage());
        self.seconds += ran.setting.seconds;
    }
}

/// The time that so large a share of all, which are in order, was not slower than, in seconds.
pub fn quantile(times_ms: &[u64], share: f64) -> Option<f64> {
    let place = (times_ms.len() as f64 * share).ceil() as usize;
    let time = times_ms.get(place.max(1) - 1)?;
    Some(*time as f64 / 1000.0)
}
